//! What the views say of a log that the real writer wrote, on both databases.

mod asked;
mod rebuilt;
mod told;

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::search::{Field, Search};
use forelog::core::time::Micros;
use forelog::core::visibility::Visibility;
use forelog::log::dialect::Room;
use forelog::tools::{Activity, ActivityPage, ActivityQuery};
use forelog::views::Views;
use forelog::views::activity::Calls;

use crate::sample_log::{Ask, LIST, POWER, SampleLog};

async fn open(sample: &SampleLog) -> Calls {
    let views = Views::open(sample.room("views.db", Room::Views).await, sample.reader.clone()).await.expect("the views");
    Calls::new(views)
}

fn query() -> ActivityQuery {
    ActivityQuery { visibility: Visibility::Everything, limit: 200, ..ActivityQuery::default() }
}

/// A query for one field's value.
fn only(field: Field, value: impl Into<String>) -> ActivityQuery {
    let mut asked = query();
    asked.search.only(field, value).expect("a value");
    asked
}

/// A query as it is typed.
fn typed(line: &str) -> ActivityQuery {
    ActivityQuery { search: Search::parse(line, Micros(0)).expect("a line"), ..query() }
}

async fn list(calls: &Calls, query: ActivityQuery) -> ActivityPage {
    calls.list(query).await.expect("a page")
}

fn ids(page: &ActivityPage) -> Vec<String> {
    page.items.iter().map(|item| item.call_id.to_string()).collect()
}

/// One of everything: every status, both accounts, more than one batch.
pub async fn lively(sample: &SampleLog) {
    let power = Ask { vm: Some(1), text: "action=reboot", ip: Some("192.0.2.7"), session: Some("abc"), ..Ask::by(1, &POWER) };
    for (status, code) in [
        (Status::Succeeded, None),
        (Status::Failed, Some(Code::UpstreamError)),
        (Status::Cancelled, Some(Code::Cancelled)),
        (Status::TimedOut, Some(Code::Timeout)),
    ] {
        sample.finish(power.clone(), status, code).await;
    }
    let unknown = sample.finish(power.clone(), Status::Unknown, Some(Code::OutcomeUnknown)).await;
    sample.submit(Ask { refused: Some(Code::ConfirmationRequired), ..power.clone() }).await;
    sample.submit(power.clone()).await;
    let running = sample.submit(power).await;
    sample.start(&running).await;
    for _ in 0..200 {
        sample.finish(Ask { vm: Some(2), ..Ask::by(2, &LIST) }, Status::Succeeded, None).await;
    }
    sample.reconcile(&unknown).await;
}
