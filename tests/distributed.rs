use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::sandbox::{Sandbox, words};

/// A small network whose batch two and four processes can share.
const SMALL: &str = "--hidden-size 24 --embedding-size 16 --num-layers 2 --batch-size 8 --bptt 16 --precision f32 \
                     --interpolate=false -q";

/// What joining and silence may last where no variable says less: tests that shorten it end before, also on a busy machine.
const A_MINUTE: Duration = Duration::from_secs(60);

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let tale = include_str!("../corpora/tales/the_glass_harbour.txt");
    sandbox.write("tale.txt", tale);
    sandbox
}

/// Figures of the lines of metrics.jsonl: losses of ten steps each, and of validation.
fn losses(sandbox: &Sandbox, model: &str) -> Vec<(u64, f64)> {
    let text = String::from_utf8(sandbox.read(&format!("{model}/metrics.jsonl"))).unwrap();
    let lines = text.lines().flat_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let step = line["step"].as_u64().unwrap();
        let keys = [
            "loss",
            "accuracy",
            "macro_f1",
            "bleu",
            "network_loss",
            "valid_loss",
        ];
        let losses = keys.map(|key| line[key].as_f64());
        losses.into_iter().flatten().map(move |loss| (step, loss))
    });
    lines.collect()
}

/// A rank of a world, by the variables that torchrun sets.
fn command(sandbox: &Sandbox, line: &str, rank: usize, ranks: usize, port: u16) -> Command {
    let mut command = sandbox.command(&crate::program());
    command
        .args(words(line))
        .env("RANK", rank.to_string())
        .env("WORLD_SIZE", ranks.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Starts a rank of a world.
fn rank(sandbox: &Sandbox, line: &str, rank: usize, ranks: usize, port: u16) -> Child {
    command(sandbox, line, rank, ranks, port).spawn().unwrap()
}

/// Checks that a run of several processes has the losses of one process.
fn assert_same_losses(sandbox: &Sandbox, one: &str, several: &str) {
    let [alone, together] = [one, several].map(|model| losses(sandbox, model));
    assert_eq!(alone.len(), together.len());
    for ((step, loss), (other_step, other)) in alone.iter().zip(&together) {
        let tolerance = if *step <= 20 { 1e-5 } else { 1e-4 };
        assert_eq!(step, other_step);
        assert!(
            (loss - other).abs() < tolerance,
            "{several}, step {step}: {loss} and {other}"
        );
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Ranks that train the folder `model` without end, and have saved something. Each is given up after some seconds of silence.
fn some_that_train<const RANKS: usize>(sandbox: &Sandbox, silence: u32) -> [Child; RANKS] {
    let small = SMALL.replace("--batch-size 8", "--batch-size 12");
    let line = format!("train tale.txt --steps 1000000 {small} -o model");
    let port = free_port();
    let all = std::array::from_fn(|number| {
        let mut command = command(sandbox, &line, number, RANKS, port);
        command.env("CAROUSEL_LOST_TIMEOUT", silence.to_string());
        command.spawn().unwrap()
    });
    while !sandbox.path("model/resume.safetensors").exists() {
        sleep(Duration::from_millis(5));
    }
    all
}

/// Sends a signal to a process.
fn signal(process: &Child, signal: &str) {
    let id = process.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.unwrap().success());
}

/// What all of some processes said together, which have ended by themselves with code 1.
fn said_by_all(processes: Vec<Child>) -> String {
    let all = processes.into_iter().map(|process| said(process, 1));
    all.collect()
}

/// What a process said on standard error, once it has ended by itself with this code.
fn said(child: Child, code: i32) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn several_processes_learn_what_one_learns() {
    let sandbox = sandbox();
    let characters = format!("train tale.txt --steps 60 --dropout 0 {SMALL}");
    let sampled = format!("{characters} --level word --candidates 100 --split natural");
    for (kind, line) in [("characters", &characters), ("words", &sampled)] {
        let folder = |ranks: usize| format!("{kind}-{ranks}");
        for ranks in [1, 2, 4] {
            let line = format!("{line} -o {} --processes {ranks}", folder(ranks));
            sandbox.carousel(&line).success();
        }
        for ranks in [2, 4] {
            assert_same_losses(&sandbox, &folder(1), &folder(ranks));
        }
        // The same number of processes learns the same bits.
        let again = format!("{line} -o {kind}-again --processes 2");
        sandbox.carousel(&again).success();
        let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
        assert!(weights(&folder(2)) == weights(&format!("{kind}-again")));
    }
    let record: serde_json::Value =
        serde_json::from_slice(&sandbox.read("characters-2/training.json")).unwrap();
    assert_eq!(record["options"]["world_size"], 2);
    let metrics = String::from_utf8(sandbox.read("characters-2/metrics.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert!(first["bytes_sent"].as_u64().unwrap() > 10_000, "{first}");
}

#[test]
fn classifiers_and_translators_are_shared_too() {
    let sandbox = sandbox();
    sandbox.write("reviews.csv", include_str!("../corpora/reviews.csv"));
    sandbox.write("pairs.tsv", include_str!("../corpora/pairs.tsv"));
    // Of a batch of 7, no two processes compute the same number of texts; the last of a pass is smaller still.
    let options = "--steps 60 --hidden-size 16 --embedding-size 8 --batch-size 7 --precision f32 --dropout 0 \
                   --input-dropout 0 --embedding-dropout 0 --weight-drop 0 -q";
    for line in ["train-classifier reviews.csv", "train-translator pairs.tsv"] {
        let name = |ranks: usize| format!("{}-{ranks}", words(line)[0]);
        for ranks in [1, 2, 4] {
            let line = format!("{line} {options} -o {} --processes {ranks}", name(ranks));
            sandbox.carousel(&line).success();
        }
        for ranks in [2, 4] {
            assert_same_losses(&sandbox, &name(1), &name(ranks));
        }
    }
}

#[test]
fn validation_is_shared() {
    let sandbox = sandbox();
    // Long enough for several streams, of which each process reads some.
    let tales = [
        include_str!("../corpora/tales/salt_and_copper.txt"),
        include_str!("../corpora/tales/the_roundabout_man.txt"),
        include_str!("../corpora/tales/the_weather_seller.txt"),
        include_str!("../corpora/tales/what_the_well_returned.txt"),
    ];
    sandbox.write("valid.txt", tales.concat());
    let small = SMALL.replace("--interpolate=false", "");
    let line = format!("train tale.txt --valid valid.txt --steps 30 --dropout 0 {small}");
    let beside = format!("{line} --order 3 --cache 50");
    for ranks in [1, 2, 4] {
        let line = format!("{beside} -o beside-{ranks} --processes {ranks}");
        sandbox.carousel(&line).success();
    }
    for ranks in [2, 4] {
        assert_same_losses(&sandbox, "beside-1", &format!("beside-{ranks}"));
    }
    // A long text is cut for all where time is short, as rank 0 has measured it.
    sandbox.write("long.txt", tales.concat().repeat(20));
    let timed = line.replace("valid.txt --steps 30", "long.txt --time 3s");
    let timed = format!("{timed} --order 3 --processes 2 -o timed");
    sandbox.carousel(&timed).success();
    let record: serde_json::Value =
        serde_json::from_slice(&sandbox.read("timed/training.json")).unwrap();
    let read = record["valid_tokens_read"].as_u64().unwrap();
    assert!(read < 1 << 18, "{read}");
    // Where each process takes steps of its own, what is saved is what is validated.
    let local = format!("{line} --interpolate=false --sync-every 5 --processes 2 -o local");
    sandbox.carousel(&local).success();
    let evaluated = sandbox
        .carousel("evaluate -m local valid.txt --json")
        .success();
    let evaluated: serde_json::Value = serde_json::from_str(&evaluated.out).unwrap();
    let found = losses(&sandbox, "local").last().unwrap().1;
    let loss = evaluated["loss"].as_f64().unwrap();
    assert!((found - loss).abs() < 1e-5, "{found} {loss}");
}

#[test]
fn few_bytes_teach_nearly_the_same() {
    let sandbox = sandbox();
    let line = format!("train tale.txt --steps 200 --dropout 0 {SMALL} --processes 2");
    let bytes = |model: &str| {
        let metrics = String::from_utf8(sandbox.read(&format!("{model}/metrics.jsonl"))).unwrap();
        let lines = metrics
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .filter_map(|line| line["bytes_sent"].as_u64())
            .max()
            .unwrap()
    };
    sandbox.carousel(&format!("{line} -o all")).success();
    sandbox
        .carousel(&format!("{line} -o half --gradient-precision bf16"))
        .success();
    let local = format!("{line} --sync-every 20");
    sandbox.carousel(&format!("{local} -o local")).success();
    let last = |model: &str| losses(&sandbox, model).last().unwrap().1;
    let (all, half, local_loss) = (last("all"), last("half"), last("local"));
    assert!((half / all - 1.0).abs() < 0.002, "{all} {half}");
    assert!(half != all);
    assert!((local_loss / all - 1.0).abs() < 0.1, "{all} {local_loss}");
    let share = |model: &str| bytes(model) as f64 / bytes("all") as f64;
    assert!((0.49..0.52).contains(&share("half")), "{}", share("half"));
    assert!(share("local") < 0.07, "{}", share("local"));
    // The same number of processes learns the same bits.
    sandbox.carousel(&format!("{local} -o again")).success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("local") == weights("again"));
    // One that was killed goes on, also alone.
    let line =
        format!("train tale.txt --steps 3000 {SMALL} --sync-every 20 --processes 2 -o killed");
    assert!(sandbox.kill_at(&line, "killed/resume.safetensors"));
    sandbox.carousel("train --resume killed -q").success();
    assert_eq!(losses(&sandbox, "killed").last().unwrap().0, 3000);
}

#[test]
fn processes_that_are_started_again_go_on() {
    let sandbox = sandbox();
    let line = format!("train tale.txt --steps 3000 {SMALL} -o model");
    assert!(sandbox.kill_at(&line, "model/resume.safetensors"));
    // As torchrun starts them, which counts how often it has.
    let started = |restarts: &str| {
        let mut command = command(&sandbox, &line, 0, 1, free_port());
        command.env("TORCHELASTIC_RESTART_COUNT", restarts);
        command.spawn().unwrap()
    };
    let refused = said(started("0"), 2);
    assert!(refused.contains("holds a model already"), "{refused}");
    said(started("1"), 0);
    assert_eq!(losses(&sandbox, "model").last().unwrap().0, 3000);
}

#[test]
fn a_run_goes_on_with_another_number_of_processes() {
    let sandbox = sandbox();
    let line = format!("train tale.txt --steps 3000 --dropout 0.2 {SMALL} -o model --processes 2");
    assert!(sandbox.kill_at(&line, "model/resume.safetensors"));
    // The other process notices, and leaves the folder alone.
    let resumed = "train --resume model --processes 4 -q";
    sandbox.carousel(resumed).success();
    let all = losses(&sandbox, "model");
    assert_eq!(all.last().unwrap().0, 3000);
    // Then there is nothing left to do, for all of them.
    let again = sandbox.carousel(resumed).success();
    assert!(again.err.contains("this run is finished"), "{}", again.err);
    assert!(!again.err.contains("rank"), "{}", again.err);
}

#[test]
fn an_interruption_of_any_process_ends_all_with_everything_saved() {
    let sandbox = sandbox();
    let [first, second] = some_that_train(&sandbox, 60);
    signal(&second, "-TERM");
    let told = said(first, 130);
    assert!(told.contains("everything is saved"), "{told}");
    let told = said(second, 130);
    assert!(told.contains("rank 0 has saved everything"), "{told}");
}

#[test]
fn a_lost_process_is_named_and_what_was_saved_stays() {
    let sandbox = sandbox();
    let [first, mut second] = some_that_train(&sandbox, 60);
    let killed = Instant::now();
    second.kill().unwrap();
    second.wait().unwrap();
    let said = said(first, 1);
    assert!(killed.elapsed() < Duration::from_secs(10));
    assert!(said.contains("rank 1 has ended"), "{said}");
    assert!(sandbox.path("model/resume.safetensors").exists());
    let inspected = sandbox.carousel("inspect model").success();
    assert!(inspected.out.contains("step"), "{}", inspected.out);
}

/// Ends a process that was stopped.
fn end(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_process_that_hangs_is_given_up() {
    let sandboxes = [sandbox(), sandbox(), sandbox()];
    let [first, second] = some_that_train(&sandboxes[0], 4);
    let [master, follower] = some_that_train(&sandboxes[1], 4);
    let [one, two, three] = some_that_train(&sandboxes[2], 4);
    let stopped = Instant::now();
    for process in [&second, &master, &three] {
        signal(process, "-STOP");
    }
    let silent = |rank: usize| format!("rank {rank} has given no sign of life for 4 seconds");
    let told = said(first, 1);
    assert!(told.contains(&silent(1)), "{told}");
    assert!(told.contains("--resume continues"), "{told}");
    let told = said(follower, 1);
    let message = "rank 0 cannot be reached, or has stopped";
    assert!(told.contains(message), "{told}");
    for process in [one, two] {
        let told = said(process, 1);
        assert!(told.contains(&silent(2)), "{told}");
    }
    assert!(stopped.elapsed() < A_MINUTE);
    [second, master, three].into_iter().for_each(end);
}

#[test]
fn the_others_wait_for_one_that_is_busy() {
    let sandbox = sandbox();
    let line = format!("train - --steps 10 {SMALL} -o model");
    let port = free_port();
    let start = |number: usize| {
        let mut command = command(&sandbox, &line, number, 2, port);
        command.env("CAROUSEL_LOST_TIMEOUT", "2");
        command.stdin(Stdio::piped()).spawn().unwrap()
    };
    let (mut first, second) = (start(0), start(1));
    // Rank 0 has to wait for its text for longer than a silence may last.
    sleep(Duration::from_secs(5));
    let text = sandbox.read("tale.txt");
    first.stdin.take().unwrap().write_all(&text).unwrap();
    said(first, 0);
    said(second, 0);
}

#[test]
fn processes_that_do_not_belong_together_say_so() {
    let sandbox = sandbox();
    let line = format!("train tale.txt --steps 10 {SMALL} -o model");
    let start = |(number, ranks, token): (usize, usize, &str), port| {
        let mut command = command(&sandbox, &line, number, ranks, port);
        command.env("CAROUSEL_JOB_TOKEN", token);
        command.env("CAROUSEL_JOIN_TIMEOUT", "6");
        command.spawn().unwrap()
    };
    let began = Instant::now();
    // Whichever comes second is refused, and the others wait for it, but not for long.
    let worlds = [(0, 2, ""), (1, 3, "")];
    // Of two with the same rank, one waits for a third process.
    let twice = [(0, 3, ""), (1, 3, ""), (1, 3, "")];
    let tokens = [(0, 2, "one"), (1, 2, "other")];
    let all: [&[_]; 3] = [&worlds, &twice, &tokens];
    let all = all.map(|ranks| {
        let port = free_port();
        ranks.iter().map(|&rank| start(rank, port)).collect()
    });
    let [worlds, twice, tokens] = all.map(said_by_all);
    assert!(began.elapsed() < A_MINUTE);
    let messages = [(2, 3), (3, 2)]
        .map(|(own, other)| format!("counts {own} processes, and another one {other}"));
    assert!(
        messages.iter().any(|message| worlds.contains(message)),
        "{worlds}"
    );
    let message = "another process has the same rank";
    assert!(twice.contains(message), "{twice}");
    assert!(twice.contains("not all of the 3 processes"), "{twice}");
    let message = "another process has another CAROUSEL_JOB_TOKEN, or none";
    assert!(tokens.contains(message), "{tokens}");

    let odd = sandbox.carousel(&format!("{} --processes 3", line.replace("-q", "")));
    assert_eq!(odd.code, Some(2), "{odd:?}");
    let message = "a batch of 8 cannot be divided among 3 processes";
    assert!(odd.err.contains(message), "{}", odd.err);
    assert!(!sandbox.path("model").exists());
}

#[test]
fn a_master_that_is_not_there_is_named() {
    let sandbox = sandbox();
    let line = format!("train tale.txt --steps 10 {SMALL} -o model");
    let start = |number: usize, port: u16| {
        let mut command = command(&sandbox, &line, number, 2, port);
        command.env("CAROUSEL_JOIN_TIMEOUT", "2");
        command.spawn().unwrap()
    };
    let began = Instant::now();
    // Nobody listens; somebody does, and says nothing; somebody does, and speaks another language.
    let nobody = free_port();
    let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port_of = |listener: &std::net::TcpListener| listener.local_addr().unwrap().port();
    let (mute, foreign) = (listen(), listen());
    let ports = [nobody, port_of(&mute), port_of(&foreign)];
    let masters = ports.map(|port| start(1, port));
    let in_use = said(start(0, ports[1]), 1);
    let (mut stream, _) = foreign.accept().unwrap();
    stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .unwrap();
    drop(stream);
    for (port, process) in ports.into_iter().zip(masters) {
        let told = said(process, 1);
        let message = format!("rank 1 cannot reach rank 0 at 127.0.0.1:{port} within 2 seconds");
        assert!(told.contains(&message), "{told}");
    }
    assert!(began.elapsed() < A_MINUTE);
    let message = format!("rank 0 cannot listen on port {}", ports[1]);
    assert!(in_use.contains(&message), "{in_use}");
    assert!(!sandbox.path("model").exists());
}

#[test]
fn a_corpus_with_other_content_is_refused() {
    let sandbox = sandbox();
    // Of the same size.
    let text = String::from_utf8(sandbox.read("tale.txt")).unwrap();
    sandbox.write("other/tale.txt", text.replacen("the", "eht", 1));
    // The same path is another file for each, as on two machines.
    let line = format!("train /proc/self/cwd/tale.txt --steps 10 {SMALL} -o model");
    let port = free_port();
    let first = rank(&sandbox, &line, 0, 2, port);
    let mut other = command(&sandbox, &line, 1, 2, port);
    other.current_dir(sandbox.path("other"));
    other.env("XDG_CACHE_HOME", sandbox.path("other/cache"));
    let told = said(other.spawn().unwrap(), 1);
    assert!(told.contains("rank 1: "), "{told}");
    assert!(told.contains("tale.txt"), "{told}");
    let told = said(first, 1);
    assert!(told.contains("rank 1 has ended"), "{told}");
}
