//! Tools that need more than one round trip: they ask for input with an `input_required` result and are called again with
//! the answers. What they need to remember travels in `requestState`, authenticated.

use rmcp::ErrorData;
use rmcp::model::{CallToolRequestParams, CallToolResponse, InputRequiredResult, InputResponses, RequestStateCodec};
use serde_json::{Value, json};

use super::{Context, Fixtures, complete, text, typed};

/// What an answer to a question must have in it.
#[derive(Clone, Copy)]
enum Kind {
    /// A string field of an accepted form.
    Form(&'static str),
    /// A flag of an accepted form.
    Consent(&'static str),
    /// A sampled message.
    Sample,
    /// The client's roots.
    Roots,
}

#[derive(Clone, Copy)]
struct Question {
    key: &'static str,
    text: &'static str,
    kind: Kind,
}

const NAME: Question = Question { key: "user_name", text: "What is your name?", kind: Kind::Form("name") };
const CAPITAL: Question = Question { key: "capital_question", text: "What is the capital of France?", kind: Kind::Sample };
const GREETING: Question = Question { key: "greeting", text: "Generate a greeting", kind: Kind::Sample };
const ROOTS: Question = Question { key: "client_roots", text: "", kind: Kind::Roots };
const CONFIRM: Question = Question { key: "confirm", text: "Please confirm", kind: Kind::Consent("ok") };
const STEPS: [Question; 2] = [
    Question { key: "step1", text: "Step 1: What is your name?", kind: Kind::Form("name") },
    Question { key: "step2", text: "Step 2: What is your favorite color?", kind: Kind::Form("color") },
];
pub(super) const CONTEXT: &str = "user_context";
const PROMPT: Question = Question { key: CONTEXT, text: "What context should the prompt use?", kind: Kind::Form("context") };

impl Question {
    fn request(self) -> Value {
        let form = |field: &str, kind: &str| {
            let schema = json!({"type": "object", "properties": {field: {"type": kind}}, "required": [field]});
            json!({"method": "elicitation/create", "params": {"mode": "form", "message": self.text, "requestedSchema": schema}})
        };
        match self.kind {
            Kind::Form(field) => form(field, "string"),
            Kind::Consent(field) => form(field, "boolean"),
            Kind::Sample => {
                let messages = json!([{"role": "user", "content": {"type": "text", "text": self.text}}]);
                json!({"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}})
            }
            Kind::Roots => json!({"method": "roots/list", "params": {}}),
        }
    }

    /// The answer, if it is there and is one.
    fn answer(self, responses: Option<&InputResponses>) -> Option<Value> {
        let response = responses?.get(self.key)?;
        let answer = match self.kind {
            Kind::Form(field) => response.get("content")?.get(field).filter(|value| value.is_string()),
            Kind::Consent(field) => response.get("content")?.get(field).filter(|value| value.is_boolean()),
            Kind::Sample => response.get("content"),
            Kind::Roots => response.get("roots").filter(|value| value.is_array()),
        };
        answer.cloned()
    }
}

impl Fixtures {
    pub(super) fn call_in_rounds(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Option<Result<CallToolResponse, ErrorData>> {
        let (questions, stateful): (&[Question], bool) = match request.name.as_ref() {
            "test_input_required_result_elicitation" | "test_streaming_elicitation" => (&[NAME], false),
            "test_input_required_result_sampling" => (&[CAPITAL], false),
            "test_input_required_result_list_roots" => (&[ROOTS], false),
            "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => (&[CONFIRM], true),
            "test_input_required_result_multiple_inputs" => (&[NAME, GREETING, ROOTS], true),
            "test_input_required_result_capabilities" => (supported(context), false),
            "test_input_required_result_multi_round" => return Some(self.step(request)),
            _ => return None,
        };
        Some(self.ask_once(request, questions, stateful))
    }

    fn ask_once(
        &self,
        request: &CallToolRequestParams,
        questions: &[Question],
        stateful: bool,
    ) -> Result<CallToolResponse, ErrorData> {
        let state = request.request_state.as_deref().map(|sealed| open(&self.states, sealed)).transpose()?;
        let answers: Option<Vec<_>> =
            questions.iter().map(|question| question.answer(request.input_responses.as_ref())).collect();
        let verified = !stateful || state.as_deref() == Some(request.name.as_bytes());
        match answers {
            Some(answers) if verified => {
                let note = if stateful { "state-ok" } else { "ok" };
                complete(text(format!("{note}: {}", Value::from(answers)))).map(CallToolResponse::Complete)
            }
            _ => required(questions, stateful.then(|| self.states.seal(request.name.as_bytes()))).map(Into::into),
        }
    }

    /// Two questions, one after the other; the state says how many were answered.
    fn step(&self, request: &CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
        let state = request.request_state.as_deref().map(|sealed| open(&self.states, sealed)).transpose()?;
        let answered = usize::from(state.as_deref() == Some(b"1"));
        let [first, second] = STEPS;
        let question = if answered == 0 { first } else { second };
        let progressed = state.is_some() && question.answer(request.input_responses.as_ref()).is_some();
        let next = |question, state: &[u8]| required(&[question], Some(self.states.seal(state))).map(Into::into);
        match (answered, progressed) {
            (0, false) => next(first, b"0"),
            (0, true) | (_, false) => next(second, b"1"),
            (_, true) => complete(text("Both steps are done.")).map(CallToolResponse::Complete),
        }
    }
}

/// The answer that `prompts/get` needs first, or the question.
pub(super) fn prompt_context(responses: Option<&InputResponses>) -> Result<Value, Result<InputRequiredResult, ErrorData>> {
    PROMPT.answer(responses).ok_or_else(|| required(&[PROMPT], None))
}

/// The name that `test_tool_with_task` needs before it becomes a task, or the question.
pub(super) fn task_name(responses: Option<&InputResponses>) -> Result<Value, Result<InputRequiredResult, ErrorData>> {
    NAME.answer(responses).ok_or_else(|| required(&[NAME], None))
}

fn required(questions: &[Question], state: Option<String>) -> Result<InputRequiredResult, ErrorData> {
    let requests: serde_json::Map<_, _> = questions.iter().map(|question| (question.key.into(), question.request())).collect();
    Ok(InputRequiredResult::new(Some(typed(Value::Object(requests))?), state))
}

fn supported(context: &Context) -> &'static [Question] {
    let declared = context.client_capabilities().unwrap_or_default();
    match (declared.elicitation.is_some(), declared.sampling.is_some()) {
        (true, true) => &[NAME, CAPITAL],
        (true, false) => &[NAME],
        _ => &[CAPITAL],
    }
}

fn open(states: &RequestStateCodec, sealed: &str) -> Result<Vec<u8>, ErrorData> {
    states.open(sealed).map_err(|_| ErrorData::invalid_params("requestState failed its integrity check", None))
}
