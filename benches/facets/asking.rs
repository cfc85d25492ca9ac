//! The questions of staff, as they type them.

use std::time::{Duration, Instant};

use forelog::core::search::Search;
use forelog::tools::{Activity, ActivityQuery};
use forelog::views::activity::Calls;

use crate::load::percentile;
use crate::past::{Past, Seed, TOOLS, WORDS, account, address, credential, session, switch, user, vm, word};

/// Questions of each kind.
const ASKED: usize = 40;
/// Calls of a page, and bars of a histogram.
const PAGE: u32 = 50;
const BARS: u32 = 60;

type Line = fn(&Seed) -> String;

const LINES: &[(&str, Line)] = &[
    ("nothing", |_| String::new()),
    ("account", |seed| format!("account:{}", account(seed.even(300)))),
    ("user", |seed| format!("user:{}", user(seed.even(600)))),
    ("credential", |seed| format!("credential:{}", credential(seed.even(900)))),
    ("vm", |seed| format!("vm:{}", vm(seed.even(3000)))),
    ("session", |seed| format!("session:{}", session(seed.even(20_000)))),
    ("tool, any", |seed| format!("tool:{}", TOOLS[usize::try_from(seed.even(12)).unwrap_or(0)])),
    ("via", |_| "via:rest".into()),
    ("outcome, common", |_| "outcome:succeeded".into()),
    ("outcome, rare", |_| "outcome:unknown,timed_out".into()),
    ("code", |_| "code:kill_switch_engaged".into()),
    ("address", |seed| format!("ip:{}", address(seed.even(4000)))),
    ("policy", |seed| format!("policy:rule-{}", seed.even(20))),
    ("switch", |seed| format!("switch:{}", switch(seed.even(40)))),
    ("last day", |_| "last:24h".into()),
    ("last hour, tool", |_| "last:1h tool:vm_get".into()),
    ("account and rare outcome", |seed| format!("account:{} outcome:unknown", account(seed.even(300)))),
    ("account and another's vm: nothing", |seed| format!("account:{} vm:{}", account(seed.even(300)), vm(2_999))),
    ("account without its tools", |seed| format!("account:{} -tool:vm_list,vm_get,vm_exec,command_get", account(seed.even(300)))),
    ("vm and refused", |seed| format!("vm:{} outcome:refused", vm(seed.even(3000)))),
    ("tool and rare code", |_| "tool:vm_list code:kill_switch_engaged".into()),
    ("rare tool and rare outcome", |_| "tool:vm_destroy outcome:timed_out".into()),
    ("all but succeeded", |_| "-outcome:succeeded".into()),
    ("word, any", |seed| word(seed).into()),
    ("word, rarest", |_| WORDS[WORDS.len() - 1].into()),
    ("two words", |seed| format!("{} {}", word(seed), word(seed))),
    ("two rare words", |_| format!("{} {}", WORDS[WORDS.len() - 2], WORDS[WORDS.len() - 3])),
    ("word and account", |seed| format!("{} account:{}", word(seed), account(seed.even(300)))),
    ("common word and rare outcome", |_| format!("{} outcome:unknown", WORDS[0])),
    ("common word, last day", |_| format!("{} last:24h", WORDS[0])),
    ("beginning of a word", |_| "jour*".into()),
];

/// Asks each kind, for the newest page and for the histogram.
pub async fn measure(calls: &Calls, past: &Past) {
    println!("\n| search | page p50 ms | p95 ms | histogram p50 ms | p95 ms |");
    println!("|---|---|---|---|---|");
    for (name, line) in LINES {
        let (mut pages, mut histograms) = (Vec::with_capacity(ASKED), Vec::with_capacity(ASKED));
        for _ in 0..ASKED {
            let typed = line(&past.seed);
            let search = Search::parse(&typed, past.now()).unwrap_or_else(|fault| panic!("{typed}: {fault:?}"));
            let query = ActivityQuery { search, limit: PAGE, ..ActivityQuery::default() };
            let asked = Instant::now();
            calls.list(query.clone()).await.unwrap_or_else(|refusal| panic!("{typed}: {refusal:?}"));
            pages.push(asked.elapsed());
            let asked = Instant::now();
            calls.histogram(query, BARS).await.unwrap_or_else(|refusal| panic!("{typed}: {refusal:?}"));
            histograms.push(asked.elapsed());
        }
        pages.sort_unstable();
        histograms.sort_unstable();
        println!("| {name} | {} | {} |", both(&pages), both(&histograms));
    }
}

fn both(sorted: &[Duration]) -> String {
    format!("{:.1} | {:.1}", percentile(sorted, 0.5), percentile(sorted, 0.95))
}
