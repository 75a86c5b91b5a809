"""The only package that knows every part: settings → adapters → Workspace, and what it can do."""

from typing import TYPE_CHECKING

from troth.app.audiences import decided, narrow, read_audience, read_draft, rebuild_reach
from troth.app.base_policy import policy_checks, policy_faults, published_rules
from troth.app.campaigns import (
    STOPPED,
    Asked,
    Foreseen,
    Sending,
    audience_of,
    campaign_of,
    preview_of,
    recount,
    template_of,
    tick,
)
from troth.app.campaigns import draft as draft_campaign
from troth.app.campaigns import start as start_campaign
from troth.app.campaigns import submit as submit_campaign
from troth.app.channels import Target, deliver_channel, prove_list
from troth.app.connections import deliver_webhooks
from troth.app.documents import (
    MANUAL,
    PAPERS,
    Stored,
    category_title,
    document,
    manual_paper,
    manuals,
    publish_manual,
    render,
    storage_of,
    unpublished,
)
from troth.app.documents import Listed as ListedDocument
from troth.app.documents import documents as list_documents
from troth.app.entry import Doorman, entry_round
from troth.app.forms import (
    FORMS,
    MAY_ENTER,
    form_gaps,
    form_paper,
    substance,
)
from troth.app.forms import Entered as EnteredForm
from troth.app.forms import Opened as OpenedByForm
from troth.app.forms import enter as enter_form
from troth.app.forms import form as company_form
from troth.app.housekeeping import MAY_RUN as MAY_RUN_RETENTION
from troth.app.housekeeping import (
    Housekeeping,
    State,
    erase_leaving,
    plan_retention,
    run_retention,
)
from troth.app.housekeeping import state as house_state
from troth.app.imports import Extras, drafts, import_file, open_file
from troth.app.keeping import Kept, Run, keeping_receipt, kept
from troth.app.letters import deliver_letters, write_letter
from troth.app.links import check_links
from troth.app.listcheck import (
    Checked,
    ListTold,
    check_list,
    hold_list,
    list_fields,
    look_at_list,
    prepare_list,
    write_group,
    write_groups,
)
from troth.app.listtaking import take_groups, take_report
from troth.app.messages import (
    Face,
    MessageDraft,
    check_published,
    check_template,
    faces,
    house_of,
    publish_template,
    published_drafts,
    read_message,
    samples,
    save_message,
    template_names,
    template_versions,
)
from troth.app.outcome import Results, count_results, results_of
from troth.app.previews import Look, Masked, looks_left, masked, send_test
from troth.app.returns import demo_inbox, listener, take_files, take_mail
from troth.app.segments import Answer as SegmentAnswer
from troth.app.segments import (
    Edition,
    Listed,
    check_fairness,
    count_audience,
    note_band,
    proxies,
    publish_audience,
    read_segment,
    restore_audience,
    segment_defaults,
    segment_limits,
    segment_versions,
    segments,
)
from troth.app.sending import (
    deliver,
    local_inbox,
    real_micros,
    real_seconds,
    renderer,
    signers,
    walking_clock,
)
from troth.app.staff import exposure, office
from troth.app.starters import Starter, begin, starters, write_new
from troth.app.workspace import (
    FOLLOWERS,
    PROJECTIONS,
    Workspace,
    erasure,
    init,
    journal,
    open,
    retention,
)

if TYPE_CHECKING:
    from troth.app.imports import OpenFile

__all__ = [
    "FOLLOWERS",
    "FORMS",
    "MANUAL",
    "MAY_ENTER",
    "MAY_RUN_RETENTION",
    "PAPERS",
    "PROJECTIONS",
    "STOPPED",
    "Asked",
    "Checked",
    "Doorman",
    "Edition",
    "EnteredForm",
    "Extras",
    "Face",
    "Foreseen",
    "Housekeeping",
    "Kept",
    "ListTold",
    "Listed",
    "ListedDocument",
    "Look",
    "Masked",
    "MessageDraft",
    "OpenFile",
    "OpenedByForm",
    "Results",
    "Run",
    "SegmentAnswer",
    "Sending",
    "Starter",
    "State",
    "Stored",
    "Target",
    "Workspace",
    "audience_of",
    "begin",
    "campaign_of",
    "category_title",
    "check_fairness",
    "check_links",
    "check_list",
    "check_published",
    "check_template",
    "company_form",
    "count_audience",
    "count_results",
    "decided",
    "deliver",
    "deliver_channel",
    "deliver_letters",
    "deliver_webhooks",
    "demo_inbox",
    "document",
    "draft_campaign",
    "drafts",
    "enter_form",
    "entry_round",
    "erase_leaving",
    "erasure",
    "exposure",
    "faces",
    "form_gaps",
    "form_paper",
    "hold_list",
    "house_of",
    "house_state",
    "import_file",
    "init",
    "journal",
    "keeping_receipt",
    "kept",
    "list_documents",
    "list_fields",
    "listener",
    "local_inbox",
    "look_at_list",
    "looks_left",
    "manual_paper",
    "manuals",
    "masked",
    "narrow",
    "note_band",
    "office",
    "open",
    "open_file",
    "plan_retention",
    "policy_checks",
    "policy_faults",
    "prepare_list",
    "preview_of",
    "prove_list",
    "proxies",
    "publish_audience",
    "publish_manual",
    "publish_template",
    "published_drafts",
    "published_rules",
    "read_audience",
    "read_draft",
    "read_message",
    "read_segment",
    "real_micros",
    "real_seconds",
    "rebuild_reach",
    "recount",
    "render",
    "renderer",
    "restore_audience",
    "results_of",
    "retention",
    "run_retention",
    "samples",
    "save_draft",
    "save_message",
    "segment_defaults",
    "segment_limits",
    "segment_versions",
    "segments",
    "send_test",
    "signers",
    "start_campaign",
    "starters",
    "storage_of",
    "submit_campaign",
    "substance",
    "take_files",
    "take_groups",
    "take_mail",
    "take_report",
    "template_names",
    "template_of",
    "template_versions",
    "tick",
    "unpublished",
    "walking_clock",
    "write_group",
    "write_groups",
    "write_letter",
    "write_new",
]
