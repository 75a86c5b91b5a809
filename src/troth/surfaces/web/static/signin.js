"use strict";
/* Passkeys: <form data-passkey="get|create" data-options="JSON"> asks the browser and sends the
   answer in its hidden field "credential". Without this file its button stays hidden. */
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));
  const asked = (json) => {
    const options = JSON.parse(json);
    options.challenge = bytes(options.challenge);
    if (options.user) options.user = { ...options.user, id: bytes(options.user.id) };
    if (options.excludeCredentials) options.excludeCredentials = named(options.excludeCredentials);
    if (options.allowCredentials) options.allowCredentials = named(options.allowCredentials);
    return { publicKey: options };
  };
  const told = (made) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
      if (made.response[name]) response[name] = text(made.response[name]);
    return JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response, clientExtensionResults: {} });
  };
  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const button = form.querySelector("button");
    if (!button || !window.PublicKeyCredential) return;
    button.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const say = form.querySelector("[data-say]");
      say.hidden = true;
      try {
        const made = await navigator.credentials[form.dataset.passkey](asked(form.dataset.options));
        form.elements.credential.value = told(made);
        form.submit();
      } catch { say.hidden = false; }
    });
  });
  document.querySelectorAll("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => print());
  });
})();
