use std::fs;
use std::io::Write;

use crate::sandbox::{Outcome, Sandbox, model_by_hand};

const ROWS: &str = "label,text\npositive,what a lovely meal\nnegative,the soup was cold\n";

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = format!("\u{FEFF}{text}");
    text.encode_utf16().flat_map(to_bytes).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// What `classify` answers for a file that is given by its name, and as standard input.
fn classify(sandbox: &Sandbox, file: &str, options: &str) -> [Outcome; 2] {
    let line = format!("classify -m sentiment {options} --input");
    [
        sandbox.carousel(&format!("{line} {file}")),
        sandbox.carousel_reading(file, &format!("{line} -")),
    ]
}

/// Number of texts that `classify` answers for, with nothing skipped.
#[track_caller]
fn answers(sandbox: &Sandbox, file: &str, options: &str) -> usize {
    let [named, piped] = classify(sandbox, file, options).map(Outcome::success);
    assert_eq!(named.out, piped.out, "{file}");
    named.out.lines().count()
}

/// Number of labelled documents that `evaluate` reads, and what it says.
#[track_caller]
fn documents(sandbox: &Sandbox, file: &str, options: &str) -> (u64, String) {
    let line = format!("evaluate -m sentiment {file} --json {options}");
    let outcome = sandbox.carousel(&line).success();
    let figures: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    (figures["examples"].as_u64().unwrap(), outcome.err)
}

#[test]
fn every_layout_in_every_encoding_and_compression_gives_the_same_answers() {
    let sandbox = Sandbox::new();
    let jsonl = "{\"text\": \"what a lovely meal\"}\n{\"text\": \"the soup was cold\"}\n";
    for (extension, text) in [
        ("csv", ROWS.to_string()),
        ("tsv", ROWS.replace(',', "\t")),
        ("jsonl", jsonl.to_string()),
        ("txt", "what a lovely meal\nthe soup was cold\n".to_string()),
    ] {
        let plain = format!("plain.{extension}");
        sandbox.write(&plain, &text);
        let expected = &classify(&sandbox, &plain, "")[0].out;
        assert_eq!(expected.lines().count(), 2, "{extension}");
        let windows = text.replace('\n', "\r\n");
        for (name, bytes) in [
            ("little", utf16(&windows, u16::to_le_bytes)),
            ("big", utf16(&text, u16::to_be_bytes)),
            ("marked", format!("\u{FEFF}{text}").into_bytes()),
            ("gzip", gzip(windows.as_bytes())),
            ("zstd", zstd(&utf16(&text, u16::to_le_bytes))),
        ] {
            let file = format!("{name}.{extension}");
            sandbox.write(&file, bytes);
            for outcome in classify(&sandbox, &file, "") {
                assert_eq!(outcome.success().out, *expected, "{file}");
            }
        }
    }
    let outcome = sandbox.carousel("classify -m sentiment --input little.csv");
    assert_eq!(outcome.err, "note: little.csv is decoded as UTF-16\n");
    assert_eq!(documents(&sandbox, "zstd.csv", "").0, 2);
}

#[test]
fn invalid_bytes_of_documents_are_named_by_line_and_offset_or_replaced() {
    let sandbox = Sandbox::new();
    let invalid = |text: &str| {
        text.replace("cold", "c\u{F8}ld")
            .chars()
            .map(|c| c as u8)
            .collect::<Vec<u8>>()
    };
    for (file, text, place) in [
        ("rows.csv", ROWS.to_string(), "line 3, byte offset 62"),
        (
            "rows.tsv",
            ROWS.replace(',', "\t"),
            "line 3, byte offset 62",
        ),
        (
            "rows.jsonl",
            "{\"text\": \"a\"}\n{\"text\": \"cold\"}\n".to_string(),
            "line 2, byte offset 25",
        ),
        (
            "rows.txt",
            "warm\ncold\n".to_string(),
            "line 2, byte offset 6",
        ),
    ] {
        sandbox.write(file, invalid(&text));
        for (outcome, name) in classify(&sandbox, file, "")
            .into_iter()
            .zip([file, "standard input"])
        {
            assert_eq!((outcome.code, &outcome.out[..]), (Some(1), ""), "{file}");
            let message = format!(
                "carousel: {name} is not UTF-8 text: {place}, found byte 0xF8; convert the file, or replace \
                 invalid bytes (--lossy)\n"
            );
            assert_eq!(outcome.err, message);
        }
        let lossy = sandbox
            .carousel(&format!("classify -m sentiment --lossy --input {file}"))
            .success();
        assert_eq!(lossy.out.lines().count(), 2, "{file}");
        let note =
            format!("note: {file}: invalid byte sequences replaced by U+FFFD (--lossy): 1\n");
        assert_eq!(lossy.err, note);
    }
    assert_eq!(documents(&sandbox, "rows.csv", "--lossy").0, 2);
    assert_eq!(
        sandbox.carousel("evaluate -m sentiment rows.csv").code,
        Some(1)
    );
}

#[test]
fn binary_files_are_refused_at_once() {
    let sandbox = Sandbox::new();
    let program = [
        b"\x7FELF\x02\x01\x01".to_vec(),
        vec![0; 9],
        b"\n,a\n".repeat(50),
    ]
    .concat();
    let picture = [b"\x89PNG\r\n\x1A\n".to_vec(), b"\n,\n".repeat(50)].concat();
    for (name, bytes, found) in [("program", program, "0x00"), ("picture", picture, "0x89")] {
        for extension in ["csv", "tsv", "jsonl", "txt"] {
            let file = format!("{name}.{extension}");
            sandbox.write(&file, &bytes);
            for outcome in classify(&sandbox, &file, "") {
                assert_eq!((outcome.code, &outcome.out[..]), (Some(1), ""), "{file}");
                assert_eq!(outcome.err.lines().count(), 1, "{}", outcome.err);
                assert!(
                    outcome.err.contains(&format!(
                        "line 1, byte offset {}, found byte {found}",
                        if found == "0x00" { 7 } else { 0 }
                    )),
                    "{}",
                    outcome.err
                );
            }
        }
    }
}

#[test]
fn prose_is_not_taken_for_a_table_or_for_objects() {
    let sandbox = Sandbox::new();
    for text in [
        "Title, score, actors: nothing fails.\nToo long.\nSlow, sad and kind.\n",
        "Rating, or what I felt: joy.\nToo long.\nSlow, sad and kind.\nCold, so cold.\n",
        "Comment\nToo long.\nSlow, sad and kind.\n",
        "{to begin with} it rained.\nToo long.\n",
        "Text, label\nToo long.\nSlow, sad and kind.\nCold.\n",
    ] {
        sandbox.write("prose.txt", text);
        assert_eq!(
            answers(&sandbox, "prose.txt", ""),
            text.lines().count(),
            "{text}"
        );
    }
    let [named, _] = classify(&sandbox, "prose.txt", "");
    assert_eq!(named.err, "", "lines are nothing to tell");
    sandbox.write("table.txt", ROWS);
    let [named, piped] = classify(&sandbox, "table.txt", "").map(Outcome::success);
    assert_eq!(named.out.lines().count(), 2);
    for (outcome, name) in [(named, "table.txt"), (piped, "standard input")] {
        let note =
            format!("note: {name} is taken for CSV, by its beginning; --format says otherwise\n");
        assert_eq!(outcome.err, note);
    }
}

#[test]
fn a_first_row_of_data_is_kept_and_told() {
    let sandbox = Sandbox::new();
    let data = "the first row is taken for data, as there seems to be no header; labels in column 1, texts in column 2";
    for (text, count, note) in [
        (
            "y,we will return\nn,not again\ny,good bread\nn,wet salad\ny,warm room\nn,loud music\n",
            6,
            data,
        ),
        ("once,the seldom label is first\n", 1, data),
        (
            "said,mood\nso so,0\nfine,1\nbad,0\n",
            3,
            "the first row is taken for a header; labels in column 2 (mood), texts in column 1 (said)",
        ),
    ] {
        sandbox.write("rows.csv", text);
        assert_eq!(
            answers(&sandbox, "rows.csv", "--format csv"),
            count,
            "{text}"
        );
        let [named, _] = classify(&sandbox, "rows.csv", "");
        assert_eq!(named.err, format!("note: rows.csv: {note}\n"), "{text}");
    }
    sandbox.write(
        "rows.csv",
        "positive,a rare treat\nnegative,dull and slow\nnegative,cold and wet\n",
    );
    let (count, err) = documents(&sandbox, "rows.csv", "");
    assert_eq!(count, 3);
    assert!(err.contains(data), "{err}");
    sandbox.write("rows.csv", ROWS);
    assert!(
        !documents(&sandbox, "rows.csv", "").1.contains("first row"),
        "what is certain is not told"
    );
}

#[test]
fn columns_are_found_by_number_without_a_header_and_with_one() {
    let sandbox = Sandbox::new();
    let rows = "7,positive,what a lovely meal\n8,negative,the soup was cold\n";
    sandbox.write("data.csv", rows);
    sandbox.write("named.csv", format!("id,label,text\n{rows}"));
    sandbox.write("numbers.csv", "1,warm\n2,cold\n1,kind\n");
    for (file, options, count) in [
        ("data.csv", "--label-column 2 --text-column 3", 2),
        ("named.csv", "--label-column 2 --text-column 3", 2),
        ("named.csv", "--label-column LABEL", 2),
    ] {
        assert_eq!(
            documents(&sandbox, file, options).0,
            count,
            "{file} {options}"
        );
    }
    // The first label is no name of a column.
    assert_eq!(
        answers(&sandbox, "numbers.csv", "--text-column 2 --label-column 1"),
        3
    );
    for (line, message) in [
        (
            "evaluate -m sentiment data.csv",
            "no text column was found in data.csv: it has no header; give the column's number with --text-column",
        ),
        (
            "evaluate -m sentiment data.csv --label-column 2 --text-column 4",
            "data.csv has no column 4 (--text-column): it has no header; give a number from 1 to 3",
        ),
        (
            "evaluate -m sentiment named.csv --label-column mood",
            "named.csv has no column mood (--label-column); its columns are id, label, text",
        ),
    ] {
        assert_eq!(sandbox.carousel(line).err, format!("carousel: {message}\n"));
    }
}

#[test]
fn a_separator_line_of_a_spreadsheet_gives_the_delimiter() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "sheet.csv",
        format!(
            "sep=;\r\n{}",
            ROWS.replace(',', ";").replace("cold", "cold, sour, thin")
        ),
    );
    sandbox.write(
        "broken.csv",
        "sep=;\nlabel;text\npositive;a;b\nnegative;so, so\n",
    );
    assert_eq!(documents(&sandbox, "sheet.csv", "").0, 2);
    assert_eq!(answers(&sandbox, "sheet.csv", ""), 2);
    let [named, _] = classify(&sandbox, "broken.csv", "");
    assert!(
        named
            .err
            .starts_with("row 1 (line 3) is skipped: number of columns is 3, expected 2\n"),
        "{}",
        named.err
    );
}

#[test]
fn lines_of_fasttext_are_labelled_documents() {
    let sandbox = Sandbox::new();
    let rows = "__label__positive what a lovely meal\n__label__negative the soup was cold\n";
    sandbox.write("rows.txt", rows);
    sandbox.write(
        "plain.txt",
        rows.replace("__label__positive ", "")
            .replace("__label__negative ", ""),
    );
    assert_eq!(documents(&sandbox, "rows.txt", "").0, 2);
    let [labelled, plain] =
        ["rows.txt", "plain.txt"].map(|file| classify(&sandbox, file, "")[0].out.clone());
    assert_eq!(labelled, plain);
    sandbox.write(
        "several.txt",
        format!("{rows}__label__positive __label__negative both\n"),
    );
    let outcome = sandbox.carousel("evaluate -m sentiment several.txt");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("row 3 (line 3) is skipped: it has the labels positive, negative, and a document has one\n"),
        "{}",
        outcome.err
    );
    assert_eq!(answers(&sandbox, "several.txt", ""), 3);
}

#[test]
#[cfg(unix)]
fn pipes_are_read_once_by_name_and_are_no_corpus() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), "abc\n", 1, false);
    let pipe = sandbox.path("corpus/pipe");
    sandbox.write("corpus/text", "abc\n".repeat(100));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let of_folder = sandbox
        .carousel("evaluate -m model corpus --json")
        .success();
    let writer = std::thread::spawn(move || fs::write(pipe, "abc\n".repeat(100)));
    let of_pipe = sandbox
        .carousel("evaluate -m model corpus/pipe --json")
        .success();
    writer.join().unwrap().unwrap();
    for outcome in [of_folder, of_pipe] {
        let figures: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
        assert_eq!(figures["tokens"], 400);
    }
    let outcome = sandbox.carousel("train --baseline ngram corpus/pipe -o counted");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.ends_with(
            "is no file, and a corpus is read several times; give a pipe as -, or write a file\n"
        ),
        "{}",
        outcome.err
    );
}

#[test]
fn compressed_prompts_and_corpora_are_read_as_their_texts() {
    let sandbox = Sandbox::new();
    let text = "abc cab bca\n".repeat(400);
    sandbox.write("text", &text);
    sandbox.write("text.gz", gzip(text.as_bytes()));
    sandbox.write("opening", gzip(b"abc "));
    for (corpus, model) in [("text", "plain"), ("text.gz", "packed")] {
        let line = format!("train --baseline ngram {corpus} -o {model} -q");
        sandbox.carousel(&line).success();
    }
    let generate = |model: &str, prompt: &str| {
        let line = format!("generate -m {model} {prompt} --seed 3 --length 20");
        sandbox.carousel(&line).success().out
    };
    let plain = generate("plain", "-p 'abc '");
    assert_eq!(generate("packed", "--prompt-file opening"), plain);
    let figures = |file: &str| {
        let line = format!("evaluate -m plain {file} --json");
        let out = sandbox.carousel(&line).success().out;
        let figures: serde_json::Value = serde_json::from_str(&out).unwrap();
        figures["loss"].clone()
    };
    assert_eq!(figures("text"), figures("text.gz"));
    sandbox.write("cut.gz", &gzip(text.as_bytes())[..30]);
    let outcome = sandbox.carousel("evaluate -m plain cut.gz");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.starts_with("carousel: cannot read cut.gz: "),
        "{}",
        outcome.err
    );
}

#[test]
fn rows_keep_their_other_fields_in_json() {
    let sandbox = Sandbox::new();
    let objects = |line: &str| -> (Vec<serde_json::Value>, String) {
        let outcome = sandbox.carousel(line).success();
        let lines = outcome.out.lines();
        let objects = lines.map(|line| serde_json::from_str(line).unwrap());
        (objects.collect(), outcome.err)
    };
    sandbox.write(
        "rows.csv",
        "Id,text,label,Id,\n7,what a lovely meal,good,x,y\n8,\"the soup, cold\",bad,z,\n",
    );
    let (rows, err) = objects("classify -m sentiment --json --input rows.csv");
    assert_eq!(
        (&rows[0]["Id"], &rows[0]["Id.4"], &rows[0]["5"]),
        (&"7".into(), &"x".into(), &"y".into())
    );
    assert_eq!((&rows[1]["Id"], &rows[1]["row"]), (&"8".into(), &2.into()));
    assert!(rows[1]["text"].is_null(), "{}", rows[1]);
    // The answer has the last word, and says so once.
    assert_eq!(rows[1]["label"], "negative");
    assert_eq!(err.matches("have a field \"label\"").count(), 1, "{err}");
    let tsv = "a\t1\tso fine\nb\t2\tso cold\n";
    sandbox.write("rows.tsv", tsv);
    let (rows, _) = objects("classify -m sentiment --json --text-column 3 --input rows.tsv");
    assert_eq!((&rows[1]["1"], &rows[1]["2"]), (&"b".into(), &"2".into()));
    sandbox.write(
        "rows.jsonl",
        "{\"id\": 12345678901, \"text\": \"fine\", \"by\": {\"name\": null}}\n{\"text\": \"cold\"}\n",
    );
    let (rows, _) = objects("classify -m sentiment --json --input rows.jsonl");
    assert_eq!(rows[0]["id"], 12_345_678_901u64);
    assert_eq!(rows[0]["by"], serde_json::json!({"name": null}));
    assert!(rows[1]["id"].is_null());

    model_by_hand(&sandbox.path("model"), "abcdefgh \n", 1, false);
    let (rows, _) = objects("score -m model --json --input rows.csv");
    assert_eq!(
        (&rows[1]["Id"], &rows[1]["text"]),
        (&"8".into(), &"the soup, cold".into())
    );
    let (rows, _) = objects("score -m model --json --text-column label --input rows.csv");
    assert_eq!(rows[0]["text"], "good");
    let (rows, _) =
        objects("generate -m model -n 3 --json --text-column 3 --prompts rows.tsv --seed 1");
    assert_eq!(
        (&rows[1]["prompt"], &rows[1]["2"]),
        (&"so cold".into(), &"2".into())
    );
    let outcome = sandbox.carousel("generate -m model --prompts rows.csv");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("no column prompt (--text-column)"),
        "{}",
        outcome.err
    );
}

#[test]
fn a_header_that_comes_again_is_no_document() {
    let sandbox = Sandbox::new();
    let again = format!("{ROWS}\u{FEFF}{ROWS}{ROWS}");
    for (file, text) in [
        ("rows.csv", again.clone()),
        ("rows.tsv", again.replace(',', "\t")),
    ] {
        sandbox.write(file, text);
        let (count, err) = documents(&sandbox, file, "");
        assert_eq!(count, 6, "{file}");
        let note = format!("note: {file}: the header comes again on line 4 and 1 more, which");
        assert_eq!(err.matches(&note).count(), 1, "{err}");
        let outcome = sandbox.carousel(&format!("classify -m sentiment --input {file}"));
        let last = outcome.success().out;
        assert!(last.lines().last().unwrap().starts_with("6\t"), "{last}");
    }
    // Also where the header is guessed.
    let rows = "kind,review\npositive,a fine film\nnegative,a dull film\n".repeat(2);
    sandbox.write("guessed.csv", rows);
    assert_eq!(documents(&sandbox, "guessed.csv", "").0, 4);
    // A word of a table with one column may be a text.
    sandbox.write("one.csv", "text\nfine\ntext\n");
    let outcome = sandbox.carousel("classify -m sentiment --input one.csv");
    assert_eq!(outcome.success().out.lines().count(), 2);
}

#[test]
fn lines_may_end_in_carriage_returns_alone() {
    let sandbox = Sandbox::new();
    for (file, text) in [
        ("old.txt", "what a meal\rthe soup was cold\r".to_string()),
        (
            "old.jsonl",
            "{\"text\": \"a\"}\r{\"text\": \"b\"}\r".to_string(),
        ),
        ("old.csv", ROWS.replace('\n', "\r")),
    ] {
        sandbox.write(file, text);
        assert_eq!(answers(&sandbox, file, ""), 2, "{file}");
    }
    model_by_hand(&sandbox.path("model"), "abcdefgh \n", 1, false);
    let outcome = sandbox.carousel("score -m model --json --input old.txt");
    assert_eq!(outcome.success().out.lines().count(), 2);
}

#[test]
fn of_columns_of_one_name_it_is_told_which_is_read() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "twins.csv",
        "text,text,label\nfine,cold,positive\ngood,bad,negative\n",
    );
    let outcome = sandbox
        .carousel("classify -m sentiment --input twins.csv")
        .success();
    let note = "note: twins.csv has 2 columns named “text”; column 1 is read";
    assert!(outcome.err.contains(note), "{}", outcome.err);
    let other = sandbox.carousel("classify -m sentiment --text-column 2 --input twins.csv");
    assert_ne!(other.success().out, outcome.out);
}
