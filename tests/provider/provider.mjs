// An identity provider on this machine for the tests: node provider.mjs PORT FOLDER CONFIG(JSON)
// Anybody may sign in under any name; the claims they get come from the configuration.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [port, folder, text] = process.argv.slice(2);
const told = JSON.parse(text);
const require = createRequire(`${folder}/`);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: told.client, client_secret: told.secret, redirect_uris: told.back,
    post_logout_redirect_uris: told.home, response_types: ['code'], grant_types: ['authorization_code'],
    id_token_signed_response_alg: told.alg, token_endpoint_auth_method: 'client_secret_basic',
    backchannel_logout_uri: told.farewell, backchannel_logout_session_required: true,
  }],
  jwks: told.jwks,
  clientAuthMethods: ['client_secret_basic'],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] },
  claims: { openid: ['sub', 'sid'], email: ['email', 'email_verified'], profile: ['preferred_username'], auth_time: null },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  pkce: { required: () => true },
  ttl: { AccessToken: 60, AuthorizationCode: 60, IdToken: 300, Interaction: 600, Session: 3600, Grant: 3600 },
  cookies: { keys: ['only for tests'] },
  // it will not call this machine by itself; its word of a sign-out must reach the house under test
  fetch: (url, { dispatcher: _, ...rest } = {}) => globalThis.fetch(url, rest),
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...(told.people[id] ?? {}) }) }),
});
provider.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
