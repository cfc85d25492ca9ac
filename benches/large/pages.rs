//! What the console's pages cost the server, as it says itself in `Server-Timing`.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use crate::forelog::Server;
use crate::load::percentile;

/// Visits of each page.
const VISITS: usize = 50;

/// Visits the main pages as a customer and as staff.
pub async fn measure(server: &Server) {
    println!("\n| page | p50 ms | p95 ms |");
    println!("|---|---|---|");
    let customer = sign_in(server, "customer").await;
    let vm = server.vm();
    let call = first_call(&customer, server).await;
    for page in ["", "activity", "activity?outcome=failed", &format!("vms/{vm}"), &format!("calls/{call}"), "events", "keys"] {
        visit(&customer, server, "customer", page).await;
    }
    let staff = sign_in(server, "staff").await;
    let page = staff.get(address(server, "account")).send().await.expect("a page").text().await.expect("a text");
    let token = page.split_once("name=\"form_token\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a token").0;
    let reason = [("form_token", token), ("reason", "measuring"), ("next", "/console/search")];
    post(&staff, server, "reason", &reason).await;
    for page in ["search", "search?q=tool:vm_get+last:7d", "search?q=web+last:7d", "tail", "switches", "events"] {
        visit(&staff, server, "staff", page).await;
    }
}

fn address(server: &Server, page: &str) -> String {
    format!("http://{}/console/{page}", server.address())
}

async fn sign_in(server: &Server, who: &str) -> Client {
    let client = Client::builder().no_proxy().cookie_store(true).redirect(Policy::none()).build().expect("a client");
    let person = &server.demo[who];
    let (email, password) = (person["email"].as_str().expect("an address"), person["password"].as_str().expect("a password"));
    post(&client, server, "sign-in", &[("email", email), ("password", password)]).await;
    client
}

async fn post(client: &Client, server: &Server, page: &str, fields: &[(&str, &str)]) {
    let origin = format!("http://{}", server.address());
    let answer = client.post(address(server, page)).header("origin", origin).form(fields).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{page}");
}

async fn first_call(client: &Client, server: &Server) -> String {
    let page = client.get(address(server, "activity")).send().await.expect("a page").text().await.expect("a text");
    let (_, rest) = page.split_once("/console/calls/").expect("a call");
    rest.split_once('"').expect("its id").0.to_owned()
}

async fn visit(client: &Client, server: &Server, who: &str, page: &str) {
    let mut times = Vec::with_capacity(VISITS);
    for _ in 0..VISITS {
        let answer = client.get(address(server, page)).send().await.expect("a page");
        assert_eq!(answer.status(), StatusCode::OK, "{page}");
        let said = answer.headers()["server-timing"].to_str().expect("a text").to_owned();
        let took: f64 = said.strip_prefix("page;dur=").and_then(|text| text.parse().ok()).expect("a number");
        times.push(Duration::from_secs_f64(took / 1000.0));
        answer.bytes().await.expect("the page");
    }
    times.sort_unstable();
    println!("| {who}: /console/{page} | {:.1} | {:.1} |", percentile(&times, 0.5), percentile(&times, 0.95));
}
