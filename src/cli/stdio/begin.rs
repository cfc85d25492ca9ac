//! How a conversation begins, and begins again.

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::json;

use super::answer::{self, Answer, Held};
use super::pipe::{Pipe, TELLING};
use super::pipe_error::PipeError;
use super::request_line::RequestLine;
use super::session::{InitializeAnswer, Session};
use super::wire::Unanswered;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::http::mcp::{META_VERSION, MODERN};

const READY: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

impl Pipe {
    /// Asks the server who it is, so that whoever starts the pipe reads at once what is wrong with it. No call is made.
    pub async fn knock(&self) -> Result<(), PipeError> {
        let meta = json!({
            META_VERSION: MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let line = json!({ "jsonrpc": "2.0", "id": "forelog-stdio", "method": "server/discover", "params": { "_meta": meta } });
        let line = Bytes::from(line.to_string());
        let answer = match self.greet(&line).await {
            Ok(answer) => answer,
            Err(why) => return Err(PipeError::Unreached { by: self.wire.display_target(), why: why.text() }),
        };
        let is_served = matches!(answer.held, Held::Message(_) | Held::Stream(_)) && answer.status.is_success();
        let may_pass = answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS;
        if is_served {
            return Ok(());
        }
        if may_pass {
            // It is said again with each request, as long as it is so.
            tracing::warn!(status = answer.status.as_u16(), why = answer.refusal().message, "the server answers nobody now");
            return Ok(());
        }
        Err(PipeError::Refused(Box::new(answer.refusal())))
    }

    /// A client introduces itself.
    pub(super) async fn begin(&self, line: Bytes, asked: &RequestLine) {
        let _turn = self.beginning.lock().await;
        let said = match self.greet(&line).await {
            Ok(answer) => match InitializeAnswer::read(answer).await {
                Ok(welcome) => {
                    let before = self.session.begin(line, &welcome);
                    self.leave(before).await;
                    welcome.message
                }
                Err(Answer { held: Held::Message(message), .. }) => message,
                Err(answer) => answer::error(asked.id(), &answer.refusal()),
            },
            Err(why) => answer::error(asked.id(), &answer::unanswered(&why, &self.wire.display_target())),
        };
        self.out.say(&said).await;
    }

    /// Begins the conversation again that a server has forgotten, unless somebody has done so since `turn`.
    pub(super) async fn begin_again(&self, turn: u64) -> Result<(), Refusal> {
        let _turn = self.beginning.lock().await;
        let session = self.session.get();
        let Session { hello: Some(hello), version: Some(version), .. } = session else { return Ok(()) };
        if session.turn != turn {
            return Ok(());
        }
        let answer = self.greet(&hello).await.map_err(|why| answer::unanswered(&why, &self.wire.display_target()))?;
        let welcome = InitializeAnswer::read(answer).await.map_err(|answer| answer.refusal())?;
        if welcome.version != version {
            let text = "The server was replaced by one that speaks another version of the protocol.";
            return Err(
                Refusal::new(Code::Conflict, text).hint("Start the client again, so that it introduces itself to this one.")
            );
        }
        tracing::info!("the server had forgotten the conversation; it was begun again");
        self.session.begin(hello, &welcome);
        self.notify(&Bytes::from_static(READY), &RequestLine::of(READY)).await;
        self.ready.send_modify(|turn| *turn += 1);
        Ok(())
    }

    async fn greet(&self, line: &Bytes) -> Result<Answer, Unanswered> {
        let (asked, none) = (RequestLine::of(line), Session::default());
        let greeted = self.post(line, &asked, &none);
        let late = || Err(Unanswered::Broken("it did not answer in time".into()));
        tokio::time::timeout(TELLING, greeted).await.unwrap_or_else(|_| late())
    }
}
