use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use carousel::checkpoint::encoder_decoder::Attention;
use carousel::text::tokenizer::Tokenizer;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, model_by_hand, translator_by_hand, words};

const ALPHABET: &str = "\n abcdefghijklmnopqrstuvwxyz.";
/// A series with a season, for forecasts.
const SERIES: &str = "month,value\n2020-01,10\n2020-02,12\n2020-03,14\n2020-04,11\n2020-05,13\n2020-06,15\n2020-07,12\n\
                      2020-08,14\n2020-09,16\n2020-10,13\n2020-11,15\n2020-12,17\n2021-01,11\n2021-02,13\n2021-03,15\n\
                      2021-04,12\n2021-05,14\n2021-06,16\n2021-07,13\n2021-08,15\n2021-09,17\n2021-10,14\n2021-11,16\n\
                      2021-12,18\n2022-01,12\n2022-02,14\n2022-03,16\n2022-04,13\n";

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Server {
    /// Starts a server with the words of `line`, on a free port.
    pub fn start(sandbox: &Sandbox, line: &str) -> Self {
        let mut child = sandbox
            .command(&crate::program())
            .arg("serve")
            .args(words(line))
            .args(["--port", "0"])
            .env_remove("CAROUSEL_API_KEY")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let mut port = None;
        for line in lines.by_ref().map_while(Result::ok) {
            log.lock().unwrap().push_str(&format!("{line}\n"));
            if line.starts_with("listens") {
                let address = line.split([' ', ';']).find(|word| word.starts_with("http"));
                let number = address.unwrap().rsplit(':').next().unwrap();
                port = Some(number.parse().unwrap());
                break;
            }
        }
        let kept = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Server {
            child,
            port: port.unwrap_or_else(|| panic!("{}", log.lock().unwrap())),
            log,
            reader: Some(reader),
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).unwrap()
    }

    /// Sends a request of HTTP/1.0, whose answer ends with the connection.
    fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        let host = match headers.to_lowercase().contains("host:") {
            true => "",
            false => "Host: localhost\r\n",
        };
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.0\r\n{host}{headers}Content-Length: {length}\r\n\r\n");
        // A server that refuses a body may close before it has come.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        stream
    }

    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut bytes = Vec::new();
        let _ = self
            .send(method, path, headers, body)
            .read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("{path}: {text:?}")),
            head: head.to_lowercase(),
            body: body.to_string(),
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "", body.to_string().as_bytes())
    }

    /// The object that a good request is answered by.
    #[track_caller]
    fn good(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
        answer.json()
    }

    /// The text of the only choice of a completion.
    #[track_caller]
    fn text(&self, body: &Value) -> String {
        let answer = self.good("/v1/completions", body);
        answer["choices"][0]["text"].as_str().unwrap().to_string()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for a line of the log.
    fn wait_for(&self, what: &str) {
        while !self.log.lock().unwrap().contains(what) {
            thread::yield_now();
        }
    }

    /// Waits until a metric has a value.
    fn wait_for_metric(&self, line: &str) {
        while !self.get("/metrics").body.lines().any(|found| found == line) {
            thread::yield_now();
        }
    }

    /// Waits until it ends by itself; returns its exit code, and what it said.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        let log = self.log.lock().unwrap().clone();
        (code, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The objects of server-sent events, and whether they came to their end.
    fn events(&self) -> (Vec<Value>, bool) {
        let lines = self.body.split("\n\n").filter(|line| !line.is_empty());
        let data = lines.map(|line| line.strip_prefix("data: ").unwrap());
        let all: Vec<&str> = data.collect();
        let is_whole = all.last() == Some(&"[DONE]");
        let objects = all.iter().filter(|data| **data != "[DONE]");
        (
            objects
                .map(|data| serde_json::from_str(data).unwrap())
                .collect(),
            is_whole,
        )
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), ALPHABET, 2, false);
    sandbox
}

/// Asks for a long text.
fn endless() -> Value {
    json!({"prompt": "ab", "max_tokens": 1_000_000_000u64, "stream": true})
}

/// A line of JSON of a command.
#[track_caller]
fn printed(sandbox: &Sandbox, line: &str) -> Vec<Value> {
    let out = sandbox.carousel(line).success().out;
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn completions_are_those_of_the_command() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model");
    let line = "generate -m model -p 'the cat' --length 60 --temperature 1 --min-p 0 --top-k 9 --seed 7 --samples 3 --stop q --json";
    let samples = printed(&sandbox, line);
    let body = json!({"model": "model", "prompt": ["the cat"], "max_tokens": 60, "top_k": 9, "seed": 7, "n": 3, "stop": ["q"]});
    let answer = server.good("/v1/completions", &body);
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    let mut tokens = 0;
    for (index, (choice, sample)) in choices.iter().zip(&samples).enumerate() {
        assert_eq!(choice["index"], index);
        assert_eq!(choice["text"], sample["text"]);
        assert_eq!(choice["finish_reason"], sample["finish_reason"]);
        assert_eq!(choice["logprobs"], Value::Null);
        tokens += sample["tokens"].as_u64().unwrap();
    }
    assert_eq!(answer["usage"]["completion_tokens"], tokens);
    assert_eq!(answer["usage"]["prompt_tokens"], 7);
    assert_eq!(answer["object"], "text_completion");

    // Streamed, the pieces are the same texts.
    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({"include_usage": true});
    streamed["echo"] = json!(true);
    let stream = server.post("/v1/completions", &streamed);
    assert!(stream.head.contains("text/event-stream"), "{}", stream.head);
    let (events, is_whole) = stream.events();
    assert!(is_whole);
    let mut texts = vec![String::new(); 3];
    for choice in events.iter().filter_map(|event| event["choices"].get(0)) {
        let index = choice["index"].as_u64().unwrap() as usize;
        texts[index].push_str(choice["text"].as_str().unwrap());
    }
    for (text, sample) in texts.iter().zip(&samples) {
        assert_eq!(
            *text,
            format!("the cat{}", sample["text"].as_str().unwrap())
        );
    }
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], tokens);
    // Units are held as by the command.
    let line = "generate -m model -p ab --length 20 --greedy --clamp 1:4=50 --json";
    let clamped = json!({"prompt": "ab", "max_tokens": 20, "temperature": 0, "clamp": {"1:4": 50}});
    assert_eq!(server.text(&clamped), printed(&sandbox, line)[0]["text"]);
}

#[test]
fn what_grows_beside_a_text_does_not_change_it() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model --parallel 5");
    let body = |i: usize| {
        let prompt = "the quick brown fox ".repeat(1 + i * i % 40);
        json!({"prompt": prompt, "max_tokens": 30 + 17 * (i % 5), "seed": i, "n": 1 + i % 3, "clamp": match i % 4 {
            0 => json!({"3": 5}),
            _ => Value::Null,
        }})
    };
    let texts = |body: &Value| {
        let answer = server.good("/v1/completions", body);
        let choices = answer["choices"].as_array().unwrap().iter();
        choices
            .map(|choice| choice["text"].clone())
            .collect::<Vec<_>>()
    };
    let alone: Vec<_> = (0..16).map(|i| texts(&body(i))).collect();
    let beside: Vec<_> = thread::scope(|scope| {
        let threads = (0..16).map(|i| scope.spawn(move || texts(&body(i))));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(alone, beside);
}

#[test]
fn log_probabilities_are_those_of_the_score() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model --precision f32");
    let text = "the cat sat.";
    let body = json!({"prompt": text, "max_tokens": 0, "echo": true, "logprobs": 2});
    let choice = server.good("/v1/completions", &body)["choices"][0].clone();
    assert_eq!(
        (&choice["text"], &choice["finish_reason"]),
        (&json!(text), &json!("length"))
    );
    let logprobs = &choice["logprobs"];
    let sum: f64 = logprobs["token_logprobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_f64().unwrap())
        .sum();
    let scored = server.good("/score", &json!({"text": text}))["results"][0].clone();
    assert!(
        (sum - scored["log_probability"].as_f64().unwrap()).abs() < 1e-4,
        "{sum} {scored}"
    );
    assert_eq!(
        scored,
        printed(&sandbox, &format!("score -m model --json '{text}'"))[0]
    );
    assert_eq!(logprobs["text_offset"].as_array().unwrap().len(), 12);

    let body = json!({"prompt": "a", "max_tokens": 40, "seed": 1, "logprobs": 3, "stop": "e"});
    let choice = server.good("/v1/completions", &body)["choices"][0].clone();
    let logprobs = &choice["logprobs"];
    let tokens: Vec<&str> = logprobs["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap())
        .collect();
    assert_eq!(tokens.concat(), choice["text"]);
    for top in logprobs["top_logprobs"].as_array().unwrap() {
        let probabilities = top
            .as_object()
            .unwrap()
            .values()
            .map(|p| p.as_f64().unwrap().exp());
        let sum: f64 = probabilities.sum();
        assert!(sum > 0.0 && sum <= 1.0 + 1e-6, "{top}");
    }
}

#[test]
fn answers_are_those_of_the_commands() {
    let sandbox = sandbox();
    let characters = |text: &str| Tokenizer::characters(&text.chars().collect::<Vec<_>>());
    let (source, target) = (characters("\n .abcdefgh"), characters("\n .stuvwxyzé"));
    translator_by_hand(
        &sandbox.path("pairs"),
        &source,
        Some(&target),
        Attention::Dot,
    );
    sandbox.write("series.csv", SERIES);
    sandbox
        .carousel("forecast series.csv --method theta -q -o fitted")
        .success();
    let sentiment = concat!(env!("CARGO_MANIFEST_DIR"), "/checkpoints/sentiment");
    let server = Server::start(&sandbox, &format!("model pairs fitted {sentiment}"));
    let results = |path: &str, body: &Value| {
        server.good(path, body)["results"]
            .as_array()
            .unwrap()
            .clone()
    };

    let line = format!("classify -m {sentiment} --json --explain 'a warm film' 'a dull one'");
    let body = json!({"texts": ["a warm film", "a dull one"], "explain": true});
    assert_eq!(results("/classify", &body), printed(&sandbox, &line));
    let line = format!(
        "classify -m {sentiment} --json --prior negative=0.7,neutral=0.2,positive=0.1 'a warm film'"
    );
    let body =
        json!({"text": "a warm film", "prior": {"negative": 0.7, "neutral": 0.2, "positive": 0.1}});
    assert_eq!(results("/classify", &body), printed(&sandbox, &line));

    let line = "translate -m pairs --json --best 2 --attention 'a bad cab' 'fed. a dad'";
    let body = json!({"texts": ["a bad cab", "fed. a dad"], "best": 2, "attention": true});
    assert_eq!(results("/translate", &body), printed(&sandbox, line));
    let line = "score -m model --tokens --json 'the end'";
    assert_eq!(
        results("/score", &json!({"text": "the end", "tokens": true})),
        printed(&sandbox, line)
    );

    let without = |mut object: Value| {
        for key in ["seconds", "history", "history_dates"] {
            object.as_object_mut().unwrap().remove(key);
        }
        object
    };
    let same = |found: Vec<Value>, expected: Vec<Value>| {
        let [found, expected] =
            [found, expected].map(|all| all.into_iter().map(without).collect::<Vec<_>>());
        assert_eq!(found, expected);
    };
    let line = "forecast series.csv --method naive,theta --horizon 4 -q --json";
    let body = json!({"csv": SERIES, "method": ["naive", "theta"], "horizon": 4, "backtest": 2});
    let answer = server.good("/forecast", &body);
    same(
        answer["results"].as_array().unwrap().clone(),
        printed(&sandbox, line),
    );
    assert_eq!(
        answer["results"][0]["history"].as_array().unwrap().len(),
        28
    );
    let line = "forecast series.csv --method naive,theta --horizon 4 --backtest 2 -q --json";
    same(
        answer["backtest"].as_array().unwrap().clone(),
        printed(&sandbox, line),
    );
    let line = "forecast -m fitted --horizon 3 -q --json";
    let body = json!({"model": "fitted", "horizon": 3});
    same(results("/forecast", &body), printed(&sandbox, line));

    sandbox.write("text", "the cat");
    let shown = &printed(&sandbox, "inspect model text --unit 0:3 --json")[0];
    let inside = server.good(
        "/inside",
        &json!({"text": "the cat", "layer": 0, "unit": 3, "gates": true}),
    );
    let of_tokens = |key: &str| {
        shown["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t[key].clone())
            .collect::<Value>()
    };
    assert_eq!(inside["activations"], of_tokens("activation"));
    assert_eq!(inside["tokens"], of_tokens("token"));
    assert_eq!(inside["gates"]["forget"].as_array().unwrap().len(), 7);
    assert_eq!(inside["gates"]["forget"][0].as_array().unwrap().len(), 20);
    let rows = (0..20).map(|i| {
        format!(
            "{}\n",
            if i % 2 == 0 {
                "early,it is a"
            } else {
                "late,it is z"
            }
        )
    });
    let csv = format!("label,text\n{}", rows.collect::<String>());
    sandbox.write("two.csv", &csv);
    let expected = &printed(&sandbox, "inspect model --find-unit two.csv --json")[0];
    let found = server.good("/inside/find", &json!({"model": "model", "csv": csv}));
    assert_eq!(found["units"], expected["units"]);
    assert_eq!(found["unit"], expected["units"][0]["unit"]);
    // Nothing of what was asked for is in the log.
    let log = server.log.lock().unwrap().clone();
    assert!(
        !log.contains("warm") && !log.contains("cab") && !log.contains("value"),
        "{log}"
    );
}

#[test]
fn wrong_requests_are_answered_by_errors_of_one_form() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model --max-tokens 50");
    let large = format!("{{\"prompt\":\"{}\"}}", "x".repeat(10 << 20));
    let stop = format!("{{\"stop\":\"{}\"}}", "x".repeat(1_000_000));
    let completions = "/v1/completions";
    let table: [(&str, &str, &[u8], u16, &str); 22] = [
        ("POST", completions, b"{\"prompt\": ", 400, "request"),
        ("POST", completions, b"\xff\xfe\x00", 400, "request"),
        (
            "POST",
            completions,
            b"{\"prompt\": \"\xff\"}",
            400,
            "request",
        ),
        ("POST", completions, b"", 400, "request"),
        (
            "POST",
            completions,
            b"{\"model\": \"../model\"}",
            404,
            "served are model",
        ),
        (
            "POST",
            completions,
            b"{\"model\": \"gone\"}",
            404,
            "served are model",
        ),
        ("POST", completions, b"{\"max_tokens\": -1}", 400, "-1"),
        (
            "POST",
            completions,
            b"{\"max_tokens\": 51}",
            400,
            "--max-tokens",
        ),
        (
            "POST",
            completions,
            b"{\"temperature\": -1}",
            400,
            "temperature -1 is out of range",
        ),
        (
            "POST",
            completions,
            b"{\"clamp\": {\"99\": 1}}",
            400,
            "no unit 99",
        ),
        ("POST", completions, large.as_bytes(), 413, "larger"),
        ("POST", completions, stop.as_bytes(), 413, "stop"),
        ("GET", completions, b"", 405, "method"),
        ("POST", "/health", b"", 405, "method"),
        ("GET", "/nothing", b"", 404, "openapi"),
        ("GET", "/../../etc/passwd", b"", 404, "openapi"),
        (
            "POST",
            "/classify",
            b"{\"text\": \"a\"}",
            404,
            "no classifier",
        ),
        (
            "POST",
            "/classify",
            b"{\"model\": \"model\", \"text\": \"a\"}",
            400,
            "is a writer",
        ),
        ("POST", "/score", b"{\"text\": \"\"}", 400, "empty"),
        (
            "POST",
            "/forecast",
            b"{\"csv\": \"no series\"}",
            400,
            "the CSV",
        ),
        (
            "POST",
            "/forecast",
            b"{\"csv\": \"1\\n2\\n\", \"method\": \"lstm\"}",
            400,
            "trained",
        ),
        ("GET", "/runs", b"", 404, "--runs"),
    ];
    for (method, path, body, status, message) in table {
        let answer = server.ask(method, path, "", body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!(answer.status, status, "{method} {path} {shown}: {answer:?}");
        let error = &answer.json()["error"];
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{shown}: {error}"
        );
        assert!(error["type"] == "invalid_request_error" && error.get("code").is_some());
    }
    assert_eq!(server.text(&json!({"max_tokens": 3})).chars().count(), 3);
}

#[test]
fn foreign_pages_and_wrong_keys_are_refused() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model --api-key secret --allow-host box.lan");
    let port = server.port;
    let same = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n");
    let table = [
        ("/health", "", 200),
        ("/", "", 200),
        ("/v1/models", "", 401),
        ("/v1/models", "Authorization: Bearer wrong\r\n", 401),
        ("/v1/models", "Authorization: Bearer secret\r\n", 200),
        ("/health", "Host: box.lan\r\n", 200),
        ("/health", "Host: evil.example\r\n", 403),
        ("/", "Host: evil.example\r\n", 403),
        ("/health", "Origin: http://evil.example\r\n", 403),
        ("/health", "Origin: null\r\n", 403),
        ("/health", &same, 200),
    ];
    for (path, headers, status) in table {
        let answer = server.ask("GET", path, headers, b"");
        assert_eq!(answer.status, status, "{path} {headers}: {answer:?}");
    }
    let page = server.get("/");
    assert!(
        page.head
            .contains("content-security-policy: default-src 'none'"),
        "{}",
        page.head
    );
    assert!(page.body.starts_with("<!doctype html>"));
    assert!(!page.body.contains("<script>") && !page.body.contains("<style>"));
}

#[test]
fn a_client_that_hangs_up_ends_its_texts() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model --max-tokens 1000000000");
    let growing = |count: usize| format!("carousel_texts_growing{{model=\"model\"}} {count}");
    let mut first = server.send(
        "POST",
        "/v1/completions",
        "",
        endless().to_string().as_bytes(),
    );
    let mut begun = [0; 200];
    first.read_exact(&mut begun).unwrap();
    // One that waits for the whole, and reads nothing.
    let whole = json!({"max_tokens": 1_000_000_000u64, "n": 2});
    let second = server.send("POST", "/v1/completions", "", whole.to_string().as_bytes());
    server.wait_for_metric(&growing(3));
    // Others are served meanwhile.
    assert_eq!(server.text(&json!({"max_tokens": 5})).chars().count(), 5);
    drop(first);
    server.wait_for_metric(&growing(2));
    second.shutdown(Shutdown::Both).unwrap();
    server.wait_for_metric(&growing(0));
}

#[test]
fn more_than_can_wait_are_sent_away() {
    let sandbox = sandbox();
    let server = Server::start(
        &sandbox,
        "model --max-tokens 1000000000 --parallel 1 --queue 1",
    );
    let body = endless().to_string();
    let first = server.send("POST", "/v1/completions", "", body.as_bytes());
    server.wait_for_metric("carousel_texts_growing{model=\"model\"} 1");
    let second = server.send("POST", "/v1/completions", "", body.as_bytes());
    server.wait_for_metric("carousel_requests_waiting{model=\"model\"} 1");
    let third = server.post("/v1/completions", &json!({"max_tokens": 1}));
    assert_eq!(third.status, 503, "{third:?}");
    assert!(third.head.contains("retry-after: 1"), "{third:?}");
    assert_eq!(third.json()["error"]["code"], "overloaded");
    drop(first);
    drop(second);
    server.wait_for_metric("carousel_texts_growing{model=\"model\"} 0");
    assert_eq!(server.text(&json!({"max_tokens": 1})).chars().count(), 1);
}

/// Lets this process hold a thousand connections, where it may hold as many.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn connections_that_send_slowly_disturb_nobody() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model");
    raise_open_files();
    let mut slow: Vec<TcpStream> = (0..1000).map(|_| server.connect()).collect();
    for letter in b"POST" {
        for stream in &mut slow {
            stream.write_all(&[*letter]).unwrap();
        }
        assert_eq!(server.get("/health").status, 200);
    }
    let mut half = server.connect();
    half.write_all(b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    assert_eq!(server.get("/health").json(), json!({"status": "ok"}));
    assert_eq!(server.text(&json!({"max_tokens": 4})).chars().count(), 4);
    // One connection takes several requests.
    let mut stream = server.connect();
    for _ in 0..3 {
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let mut rest = Vec::new();
        let mut byte = [0];
        while !rest.ends_with(b"{\"status\":\"ok\"}") {
            stream.read_exact(&mut byte).unwrap();
            rest.extend(byte);
        }
    }
}

#[test]
fn a_signal_ends_the_server_after_its_work() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model");
    server.signal(Signal::TERM);
    let (code, log) = server.ended();
    assert_eq!(code, Some(0), "{log}");

    let server = Server::start(&sandbox, "model --max-tokens 1000000000");
    let mut stream = server.send(
        "POST",
        "/v1/completions",
        "",
        endless().to_string().as_bytes(),
    );
    let mut text = vec![0; 100];
    stream.read_exact(&mut text).unwrap();
    server.signal(Signal::TERM);
    server.wait_for("finished first");
    // Asked again, it waits no more, and tells whose text is not finished.
    server.signal(Signal::TERM);
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("shutting_down") && text.ends_with("data: [DONE]\n\n"),
        "{}",
        &text[text.len() - 300..]
    );
    let (code, log) = server.ended();
    assert!(code == Some(0) && log.contains("cut short"), "{log}");
}

#[test]
fn a_model_that_is_replaced_is_served_as_it_was() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model");
    let ask = || {
        let body = json!({"prompt": "ab", "max_tokens": 30, "seed": 3});
        let scored = server.good("/score", &json!({"text": "ab"}));
        let inside = server.good("/inside", &json!({"text": "ab", "unit": 1}));
        (server.text(&body), scored, inside)
    };
    let before = ask();
    std::fs::rename(sandbox.path("model"), sandbox.path("old")).unwrap();
    model_by_hand(&sandbox.path("model"), "xyz\n", 1, false);
    assert_eq!(ask(), before);
    std::fs::remove_dir_all(sandbox.path("old")).unwrap();
    assert_eq!(ask(), before);
}

#[test]
fn wrong_command_lines_say_what_to_do() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, "model");
    let taken = format!("serve model --port {}", server.port);
    let table: [(&str, i32, &str); 6] = [
        (&taken, 1, "is in use; give another one with --port"),
        ("serve model --host example.org", 2, "is no address"),
        ("serve gone --port 0", 1, "there is no model gone"),
        (
            "serve model model --port 0",
            2,
            "two models have the name model",
        ),
        ("serve model --api-key '' --port 0", 2, "is empty"),
        ("serve model --runs gone --port 0", 2, "is not a folder"),
    ];
    for (line, code, message) in table {
        let outcome = sandbox.carousel(line);
        assert_eq!(outcome.code, Some(code), "{line}: {outcome:?}");
        assert!(outcome.err.contains(message), "{line}: {}", outcome.err);
    }
}

#[test]
fn runs_are_shown_by_their_names() {
    let sandbox = sandbox();
    model_by_hand(&sandbox.path("runs/a run"), ALPHABET, 1, false);
    sandbox.write(
        "runs/a run/metrics.jsonl",
        "{\"step\":1}\n{\"step\":2}\n{\"st",
    );
    sandbox.write("runs/other/notes", "not a run");
    sandbox.write("secret/metrics.jsonl", "{\"secret\":1}\n");
    let server = Server::start(&sandbox, "model --runs runs");
    let runs = server.get("/runs").json()["runs"].clone();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    assert_eq!(runs[0]["name"], "a run");
    assert_eq!(runs[0]["state"], "finished");
    let run = server.get("/runs/a%20run?after=1").json();
    assert_eq!(
        run,
        json!({"name": "a run", "events": [{"step": 2}], "next": 2})
    );
    let anew = server.get("/runs/a%20run?after=9").json();
    assert_eq!((&anew["next"], &anew["events"]), (&json!(2), &json!([])));
    for path in ["/runs/gone", "/runs/..%2Fsecret", "/runs/other"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.get("/runs/a%20run?after=x").status, 400);
}

#[test]
fn runs_are_started_where_that_is_allowed() {
    let sandbox = sandbox();
    sandbox.write("runs/taken.csv", "mine");
    let ask =
        |name: &str| json!({"name": name, "command": "train-classifier", "text": "too little"});
    let server = Server::start(&sandbox, "model --runs runs");
    assert_eq!(server.post("/runs", &ask("a")).status, 404);
    assert_eq!(server.get("/runs").json()["may_train"], false);
    drop(server);

    let server = Server::start(&sandbox, "model --runs runs --allow-training");
    assert_eq!(server.post("/runs/a/stop", &json!({})).status, 404);
    for (name, status) in [("../a", 400), ("-o", 400), ("taken", 409)] {
        assert_eq!(server.post("/runs", &ask(name)).status, status, "{name}");
    }
    assert_eq!(sandbox.read("runs/taken.csv"), b"mine");
    let begun = server.post("/runs", &ask("a"));
    assert_eq!(begun.json()["state"], "running", "{begun:?}");
    assert_eq!(sandbox.read("runs/a.csv"), b"too little");
    // The program says what is wrong with the text, or that it cannot train.
    let ended = loop {
        let told = server.get("/runs").json()["started"].clone();
        if told["state"] != "running" {
            break told;
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(
        (&ended["name"], &ended["state"]),
        (&json!("a"), &json!("ended"))
    );
    let message = ended["message"].as_str().unwrap();
    assert!(message.starts_with("carousel"), "{message}");
    let stopped = server.post("/runs/a/stop", &json!({}));
    assert_eq!(stopped.json()["state"], "ended", "{stopped:?}");
}

/// Checks a value against a schema of the description: types, what is required, and what is in it.
fn check(value: &Value, schema: &Value, all: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        return check(value, all.pointer(&reference[1..]).unwrap(), all, place);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |name: &Value| name == kind || name == "number" && kind == "integer";
    match &schema["type"] {
        Value::Null => {}
        Value::Array(kinds) => assert!(kinds.iter().any(fits), "{place} is {value}"),
        name => assert!(fits(name), "{place} is {value}"),
    }
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(value), "{place} is {value}");
    }
    for item in value.as_array().into_iter().flatten() {
        check(item, &schema["items"], all, &format!("{place}[]"));
    }
    let Some(object) = value.as_object() else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        assert!(object.contains_key(name), "{place} lacks {name}: {value}");
    }
    for (name, value) in object {
        check(
            value,
            &schema["properties"][name],
            all,
            &format!("{place}.{name}"),
        );
    }
}

#[test]
fn the_description_is_what_is_served() {
    let sandbox = sandbox();
    let characters = |text: &str| Tokenizer::characters(&text.chars().collect::<Vec<_>>());
    translator_by_hand(
        &sandbox.path("pairs"),
        &characters("\n .abc"),
        None,
        Attention::Dot,
    );
    model_by_hand(&sandbox.path("runs/one"), ALPHABET, 1, false);
    sandbox.write("runs/one/metrics.jsonl", "{}\n");
    let sentiment = concat!(env!("CARGO_MANIFEST_DIR"), "/checkpoints/sentiment");
    let line = format!("model pairs {sentiment} --runs runs --allow-training");
    let server = Server::start(&sandbox, &line);
    let all = server.get("/openapi.json").json();
    let csv = format!("label,text\n{}", "x,it is a\ny,it is b\n".repeat(6));
    let examples = [
        (
            "/v1/completions",
            json!({"prompt": "ab", "logprobs": 1, "max_tokens": 4, "echo": true}),
        ),
        ("/classify", json!({"text": "a good film", "explain": true})),
        ("/score", json!({"text": "ab", "tokens": true})),
        (
            "/translate",
            json!({"text": "a b", "attention": true, "best": 2}),
        ),
        (
            "/forecast",
            json!({"csv": SERIES, "method": "naive", "backtest": true}),
        ),
        (
            "/inside",
            json!({"model": "model", "text": "ab", "gates": true}),
        ),
        ("/inside/find", json!({"model": "model", "csv": csv})),
        (
            "/runs",
            json!({"name": "two", "command": "train-classifier", "text": "too little", "level": "word", "seconds": 1}),
        ),
        ("/runs/{name}/stop", json!({})),
    ];
    for (path, methods) in all["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = if method == "post" { "two" } else { "one" };
            let real = path.replace("{name}", name);
            let example = examples.iter().find(|(example, _)| example == path);
            let answer = match example.filter(|_| method == "post") {
                Some((_, body)) => server.post(&real, body),
                None => server.ask(&method.to_uppercase(), &real, "", b""),
            };
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let mut response = &operation["responses"]["200"];
            if let Some(reference) = response["$ref"].as_str() {
                response = all.pointer(&reference[1..]).unwrap();
            }
            let content = response["content"].as_object().unwrap();
            let kind = content.keys().find(|kind| answer.head.contains(&kind[..]));
            let kind = kind.unwrap_or_else(|| panic!("{path}: {}", answer.head));
            if kind == "application/json" {
                check(&answer.json(), &content[kind]["schema"], &all, path);
            }
            // Each field that is described is taken, and each that is not is refused.
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(reference) = schema["$ref"].as_str() else {
                continue;
            };
            let schema = all.pointer(&reference[1..]).unwrap();
            for field in schema["properties"].as_object().unwrap().keys() {
                let wrong = server.post(&real, &json!({field: {"x": {}}}));
                assert!(
                    !wrong.body.contains("unknown field"),
                    "{path} {field}: {wrong:?}"
                );
            }
            let wrong = server.post(&real, &json!({"bogus": 1}));
            assert!(wrong.body.contains("unknown field"), "{path}: {wrong:?}");
        }
    }
    let error = server.post("/score", &json!({})).json();
    check(
        &error,
        &all["components"]["schemas"]["Error"],
        &all,
        "error",
    );
}
