/*!
`carousel doctor`: what the program finds on this machine, and what mends each problem.
*/

use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::launch;
use super::standard::{json_line, line};
use super::version;
use crate::checkpoint::models;
use crate::error::{Error, Result};
use crate::files;
use carousel_kernels::{Kernel, Layout, Matrix, Precision, Rows, ThreadPool, sum_of_squares};

/// Time of each of the two measurements.
const MEASURED: Duration = Duration::from_secs(1);
/// Values that are read to measure the memory: more than any cache holds.
const VALUES: usize = 1 << 26;
/// Values of a part that one thread reads.
const PART: usize = 1 << 20;
/// A product like those of training: rows of a batch, outputs and inputs of a layer.
const PRODUCT: [usize; 3] = [256, 2048, 512];
/// Free memory below which little can be trained.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Show what the program finds on this machine, and what mends each problem.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel doctor
  carousel doctor --json

It takes about two seconds, in which memory and products are measured. The exit code is 1 if there is a problem.")]
pub struct Arguments {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Print what carousel-train knows of libtorch, as a JSON object
    #[arg(long, hide = true)]
    pub libtorch: bool,
}

/// Something that was looked at.
struct Finding {
    name: &'static str,
    value: Value,
    /// What is wrong, and the line that mends it.
    problem: Option<String>,
}

impl Finding {
    fn good(name: &'static str, value: impl Into<Value>) -> Self {
        Finding {
            name,
            value: value.into(),
            problem: None,
        }
    }

    fn with_problem(self, problem: Option<String>) -> Self {
        Finding { problem, ..self }
    }
}

/// Prints what is found.
///
/// # Errors
/// If there is a problem.
pub fn run(arguments: &Arguments) -> Result<()> {
    let findings = findings();
    if arguments.json {
        let object = |finding: &Finding| {
            let Finding { value, problem, .. } = finding;
            (
                finding.name.to_string(),
                json!({ "found": value, "problem": problem }),
            )
        };
        json_line(&Value::Object(findings.iter().map(object).collect()))?;
    } else {
        for Finding {
            name,
            value,
            problem,
        } in &findings
        {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), String::from);
            line(format!("{name:12}{value}"))?;
            if let Some(problem) = problem {
                line(format!("{:12}! {problem}", ""))?;
            }
        }
    }
    match findings
        .iter()
        .filter(|finding| finding.problem.is_some())
        .count()
    {
        0 => Ok(()),
        1 => Err(Error::new(
            "there is a problem; its line says what mends it",
        )),
        problems => Err(Error::new(format!(
            "there are {problems} problems; their lines say what mends them"
        ))),
    }
}

fn findings() -> Vec<Finding> {
    let threads = available_parallelism().map_or(1, usize::from);
    let pool = ThreadPool::new(threads);
    let kernels: Vec<String> = version::kernels()
        .map(|(precision, instructions)| format!("{precision} {instructions}"))
        .collect();
    let mut found = vec![
        Finding::good(
            "version",
            format!("{} {}", version::VERSION, version::COMMIT),
        ),
        Finding::good("processor", processor()),
        Finding::good("kernels", kernels.join(", ")),
        Finding::good("threads", threads),
        memory(),
        Finding::good("bandwidth", format!("{:.1} GB/s", bandwidth(&pool) / 1e9)),
        Finding::good(
            "products",
            format!("{:.0} GFLOP/s in float32", products(&pool) / 1e9),
        ),
    ];
    found.extend(training());
    found.extend([named_models(), cache()]);
    found
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_string()
}

fn memory() -> Finding {
    let Some(available) = files::available_memory() else {
        return Finding::good("memory", "unknown");
    };
    let little = available < LITTLE_MEMORY;
    Finding::good("memory", format!("{} available", HumanBytes(available))).with_problem(
        little.then(|| "little can be trained in that: close other programs".to_string()),
    )
}

/// Bytes of memory that all threads read in a second.
fn bandwidth(pool: &ThreadPool) -> f64 {
    let values = vec![1.0f32; VALUES];
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < MEASURED {
        let mut parts: Vec<(&[f32], f64)> = values.chunks(PART).map(|part| (part, 0.0)).collect();
        pool.for_each(pool.threads(), &mut parts, |_, (part, sum)| {
            *sum = sum_of_squares(part);
        });
        black_box(&parts);
        bytes += 4 * VALUES;
    }
    bytes as f64 / start.elapsed().as_secs_f64()
}

/// Floating-point operations of products in a second, in float32.
fn products(pool: &ThreadPool) -> f64 {
    let [rows, outer, inner] = PRODUCT;
    let kernel = Kernel::fastest(Precision::Float32);
    let weights = vec![0.5; outer * inner];
    let matrix = Matrix::pack(&weights, inner, Layout::Plain, kernel, pool);
    let bias = vec![0.0; matrix.panels() * matrix.width()];
    let x = Rows::gather(kernel, &weights, inner, &vec![0; rows], pool);
    let start = Instant::now();
    let mut operations = 0;
    while start.elapsed() < MEASURED {
        black_box(matrix.sums(&bias, &x, 0..rows, pool));
        operations += 2 * rows * outer * inner;
    }
    operations as f64 / start.elapsed().as_secs_f64()
}

/// Whether there is the program that trains, and what it knows of libtorch.
fn training() -> Vec<Finding> {
    let trainer = match launch::trainer() {
        Ok(trainer) => trainer,
        Err(error) => {
            let missing = Finding::good("training", "not possible");
            return vec![missing.with_problem(Some(error.to_string()))];
        }
    };
    let output = Command::new(&trainer)
        .args(["doctor", "--libtorch"])
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let Ok(answer) = serde_json::from_slice::<Value>(&text) else {
        let silent = Finding::good("training", trainer.display().to_string());
        return vec![silent.with_problem(Some(
            "it does not start; run `make libtorch build` again".to_string(),
        ))];
    };
    let said = |key: &str| answer[key].as_str().map(String::from);
    let differs = (said("made_for").as_deref() != Some(version::LIBTORCH)).then(|| {
        "it was built for another libtorch than this program; run `make build` again".to_string()
    });
    let libtorch = format!(
        "{} wanted, found in {}",
        version::LIBTORCH,
        said("folder").unwrap_or_else(|| "an unknown folder".to_string())
    );
    vec![
        Finding::good("training", trainer.display().to_string()),
        Finding::good("libtorch", libtorch).with_problem(differs),
        Finding::good("cuda", said("cuda").unwrap_or_default()),
    ]
}

fn named_models() -> Finding {
    let names: Vec<String> = models::all().iter().map(|model| model.name()).collect();
    let problem = names.is_empty().then(|| {
        "generate and classify have no default: `make install` puts the models that ship in their place".to_string()
    });
    Finding::good("models", names.join(", ")).with_problem(problem)
}

/// Whether encoded corpora and measured speeds can be kept.
fn cache() -> Finding {
    let folder = files::cache_folder();
    let probe = folder.join("doctor");
    let written = files::create_folder(&folder).and_then(|()| files::write_atomically(&probe, b""));
    let _ = fs::remove_file(&probe);
    let problem = written
        .err()
        .map(|error| format!("{error}; name another folder: export XDG_CACHE_HOME=FOLDER"));
    Finding::good("cache", folder.display().to_string()).with_problem(problem)
}
