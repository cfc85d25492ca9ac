//! Calls as rows of the views: their columns, and what they are found by.

use super::{Call, meaning};
use crate::core::call::Status;
use crate::core::id::Position;
use crate::core::time::Micros;
use crate::log::dialect::Dialect;
use crate::log::sql::{Holds, Insert, Row, SqlError, Transaction, Value};
use crate::views::ViewError;

/// The columns, in the order of [`Call::read`] and [`Call::values`].
pub const COLUMNS: &str = "intent, call, account, credential, person, resources, label, tool, via, session, ip, text, call.words, at, \
                           status, held, decided, decision, started, ended, ended_at, code, policy, switch";

impl Call {
    /// Reads a row of [`COLUMNS`].
    pub fn read(row: &Row) -> Result<Self, ViewError> {
        let text = |column: usize| row.text(column).map(str::to_owned);
        let maybe = |column: usize| row.maybe_text(column).map(|value| value.map(str::to_owned));
        let position = |column: usize| row.int(column).map(Position);
        let decision = row.text(17)?;
        Ok(Self {
            intent: position(0)?,
            id: text(1)?,
            account: text(2)?,
            credential: text(3)?,
            person: text(4)?,
            resources: text(5)?,
            subjects: Vec::new(),
            label: maybe(6)?,
            tool: text(7)?,
            via: text(8)?,
            session: maybe(9)?,
            ip: maybe(10)?,
            text: text(11)?,
            words: text(12)?,
            at: Micros(row.int(13)?),
            status: meaning(row.text(14)?).ok_or(SqlError::Column(14))?,
            held: position(15)?,
            decided: position(16)?,
            decision: if decision.is_empty() { None } else { Some(meaning(decision).ok_or(SqlError::Column(17))?) },
            started: position(18)?,
            ended: position(19)?,
            ended_at: Micros(row.int(20)?),
            code: maybe(21)?,
            policy: maybe(22)?,
            switch: maybe(23)?,
        })
    }

    fn values(self) -> Vec<Value> {
        vec![
            self.intent.0.into(),
            self.id.into(),
            self.account.into(),
            self.credential.into(),
            self.person.into(),
            self.resources.into(),
            self.label.into(),
            self.tool.into(),
            self.via.into(),
            self.session.into(),
            self.ip.into(),
            self.text.into(),
            self.words.into(),
            self.at.0.into(),
            self.status.as_str().into(),
            self.held.0.into(),
            self.decided.0.into(),
            self.decision.map_or("", Status::as_str).into(),
            self.started.0.into(),
            self.ended.0.into(),
            self.ended_at.0.into(),
            self.code.into(),
            self.policy.into(),
            self.switch.into(),
        ]
    }

    /// What it is found by: each thing that it is about and each provider that it was written down to reach, the same with the
    /// account before it, and where the intent is.
    pub(in crate::views) fn found_by(&self) -> Vec<(String, String, Position)> {
        self.subjects.iter().map(|one| (one.clone(), format!("{}{one}", self.account), self.intent)).collect()
    }

    /// As a row has it.
    pub(in crate::views) fn without_subjects(self) -> Self {
        Self { subjects: Vec::new(), ..self }
    }
}

/// The rows of these calls that the view has.
pub(in crate::views) async fn load(
    transaction: &mut dyn Transaction,
    dialect: &Dialect,
    calls: Vec<String>,
) -> Result<Vec<Call>, ViewError> {
    let sql = format!("select {COLUMNS} from call where call {}", dialect.among);
    transaction.query(&sql, vec![Value::Texts(calls)]).await?.iter().map(Call::read).collect()
}

/// Calls, new or changed: what their intents said stays.
pub static CALLS: Insert = Insert {
    table: "call",
    columns: &[
        ("intent", Holds::Int),
        ("call", Holds::Text),
        ("account", Holds::Text),
        ("credential", Holds::Text),
        ("person", Holds::Text),
        ("resources", Holds::Text),
        ("label", Holds::Text),
        ("tool", Holds::Text),
        ("via", Holds::Text),
        ("session", Holds::Text),
        ("ip", Holds::Text),
        ("text", Holds::Text),
        ("words", Holds::Text),
        ("at", Holds::Int),
        ("status", Holds::Text),
        ("held", Holds::Int),
        ("decided", Holds::Int),
        ("decision", Holds::Text),
        ("started", Holds::Int),
        ("ended", Holds::Int),
        ("ended_at", Holds::Int),
        ("code", Holds::Text),
        ("policy", Holds::Text),
        ("switch", Holds::Text),
    ],
    on_conflict: "on conflict (intent) do update set status = excluded.status, held = excluded.held, decided = excluded.decided, \
                  decision = excluded.decision, started = excluded.started, ended = excluded.ended, ended_at = excluded.ended_at, \
                  code = excluded.code, policy = excluded.policy, switch = excluded.switch",
};

/// What calls are about and the providers that they were written down to reach, each by itself: by these they are found.
pub static SUBJECTS: Insert = Insert {
    table: "subject",
    columns: &[("subject", Holds::Text), ("owned", Holds::Text), ("of_intent", Holds::Int)],
    on_conflict: "on conflict (subject, of_intent) do nothing",
};

/// Inserts calls, or replaces what can change of them.
pub(in crate::views) async fn save(transaction: &mut dyn Transaction, calls: Vec<Call>) -> Result<(), ViewError> {
    let found_by = calls.iter().flat_map(Call::found_by);
    let subjects = found_by.map(|(subject, owned, intent)| vec![subject.into(), owned.into(), intent.0.into()]).collect();
    transaction.insert(&SUBJECTS, subjects).await?;
    Ok(transaction.insert(&CALLS, calls.into_iter().map(Call::values).collect()).await?)
}
