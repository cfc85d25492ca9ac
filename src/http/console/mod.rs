//! The web console: HTML for people, one file per page. Pages are rendered here, work without JavaScript, and load nothing
//! from anywhere else.
//!
//! ```text
//! cookie ▶ SignedInRequest (alive in the log) ▶ page: reads state and views, by Gateway::check_* │ form: Posted ▶ Gateway::submit
//! ```
//!
//! INVARIANT: whatever a page changes is a recorded call of a tool, made as the person who is signed in; a form is read only
//! after its session's token and where it was sent from were checked (`form.rs`, `page_security.rs`).

mod accounts;
mod act;
mod activity;
mod address;
mod alarms;
mod answer;
mod appearance;
mod approval_history;
mod approvals;
mod assets;
mod attention;
mod call;
mod callers;
mod changes;
mod choose_appearance;
mod clients;
mod confirm;
mod connect;
mod cookie;
mod credentials;
mod customer_account;
mod drill;
mod ended_switches;
mod engaged;
mod event_rows;
mod events;
mod exports;
mod fault_page;
mod form;
mod form_state;
mod format;
mod frame;
mod in_force;
mod integrity;
mod key_scopes;
mod keys;
mod legible;
mod limits;
mod nodes;
mod oidc;
mod overview;
mod own_account;
mod page_error;
mod page_security;
mod people;
mod period;
mod policy_text;
mod power;
mod reading_words;
mod reason;
mod refused;
mod request;
mod rule_words;
mod search;
mod sentence;
mod sessions;
mod sign_in;
mod switch;
mod switches;
mod tail;
mod target_words;
mod terminal;
mod timeline;
mod told;
mod vm;
mod vm_switches;
mod welcome;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{get, post};

use super::Http;

/// Where the console lives.
pub const ROOT: &str = "/console";

/// Everything under [`ROOT`], and the way there from `/`.
pub fn router(http: &Arc<Http>) -> Router<Arc<Http>> {
    let pages = Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/oidc/{name}", get(oidc::leave))
        .route("/sign-in/oidc/{name}/callback", get(oidc::come_back))
        .route("/sign-out", post(own_account::sign_out))
        .route("/welcome/{token}", get(welcome::show).post(welcome::submit))
        .route("/theme", post(choose_appearance::choose_theme))
        .route("/zone", post(choose_appearance::choose_zone))
        .route("/account", get(own_account::show))
        .route("/account/password", post(own_account::set_password))
        .route("/account/sign-out-everywhere", post(own_account::sign_out_everywhere))
        .route("/account/identities/{name}/link", post(oidc::link))
        .route("/account/identities/{name}/unlink", post(oidc::unlink))
        .route("/account/sessions/end", post(sessions::end_own))
        .route("/people", get(people::show).post(people::invite))
        .route("/people/{id}", get(people::one))
        .route("/people/{id}/role", post(people::set_role))
        .route("/people/{id}/sessions/end", post(people::end_sessions))
        .route("/people/{id}/remove", get(people::ask).post(people::remove))
        .route("/invitations/{id}/revoke", post(people::revoke_invitation))
        .route("/activity", get(activity::show))
        .route("/exports", get(exports::show).post(exports::create))
        .route("/exports/{id}", get(exports::one))
        .route("/exports/{id}/file", get(exports::file))
        .route("/search", get(search::show))
        .route("/searches", post(search::saved::keep))
        .route("/searches/{id}/forget", post(search::saved::forget))
        .route("/tail", get(tail::show))
        .route("/tail/stream", get(tail::stream))
        .route("/reason", get(reason::show).post(reason::submit))
        .route("/calls/{id}", get(call::show))
        .route("/vms/{id}", get(vm::show))
        .route("/vms/{id}/exec", post(vm::set_exec))
        .route("/vms/{id}/stop", post(vm::stop))
        .route("/calls/{id}/raw", get(call::raw))
        .route("/calls/{id}/answer", post(call::answer))
        .route("/vms/{id}/stop-commands", get(vm::ask_stop_commands).post(vm::stop_commands))
        .route("/accounts", get(accounts::show))
        .route("/accounts/{id}", get(customer_account::show))
        .route("/credentials/{id}", get(credentials::show))
        .route("/credentials/{id}/revoke", get(credentials::ask).post(credentials::revoke))
        .route("/events", get(events::show))
        .route("/rules", get(in_force::show))
        .route("/keys", get(keys::show).post(keys::create))
        .route("/keys/{id}/revoke", get(credentials::ask_own).post(keys::revoke))
        .route("/keys/{id}/adopt", post(keys::adopt))
        .route("/keys/{id}/connected", get(connect::connected))
        .route("/connect", get(connect::show))
        .route("/approvals", get(approvals::show))
        .route("/approvals/{id}", get(approvals::one).post(approvals::answer))
        .route("/switches", get(switches::show).post(switches::engage))
        .route("/switches/new", get(switches::preview))
        .route("/switches/drill", post(drill::run))
        .route("/alarms/{alarm}", post(alarms::acknowledge))
        .route("/switches/{id}", get(switch::show))
        .route("/switches/{id}/live", get(switch::live))
        .route("/switches/{id}/release", post(switch::release))
        .route("/switches/{id}/again", post(switch::stop_again))
        .route("/switches/{id}/cancel", post(switch::cancel_all))
        .route("/switches/{id}/cancel/{call}", post(switch::cancel))
        .route("/assets/{name}", get(assets::serve))
        .fallback(fault_page::no_such_page)
        .method_not_allowed_fallback(fault_page::no_such_method)
        .layer(from_fn(page_security::same_origin))
        .layer(from_fn(legible::check_page))
        .layer(from_fn_with_state(Arc::clone(http), fault_page::still))
        .layer(from_fn_with_state(Arc::clone(http), fault_page::render))
        .layer(from_fn_with_state(Arc::clone(http), told::once))
        .layer(from_fn_with_state(Arc::clone(http), page_security::harden));
    // Nested without the slash at the end, so both forms of the address are named.
    Router::new()
        .route("/", get(async || Redirect::to("/console/")))
        .route(ROOT, get(async || Redirect::to("/console/")))
        .nest("/console/", pages)
}
