/*!
The store of keys, once the processes have joined: what is asked is answered in bounded time, and each process gives signs of
life.

libtorch waits without end for a store that does not answer, such as that of a process that was stopped. So a thread of its own
asks it, and whoever asks the thread gives up after a while. The same thread gives the signs: they go on while the process
computes, however long that takes, and end with it, or when it or its machine stops.
*/

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::c10d::Group;
use carousel::error::{Error, Result};

/// Looks without a new sign after which a process is lost.
pub const LOOKS: u32 = 10;
/// Signs between two looks.
const SIGNS: u32 = 2;
/// Shortest time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// What the signs of a lost process are made less by, so that all others know.
const GIVEN_UP: i64 = 1 << 40;

/// A store that is asked by a thread.
pub struct Store {
    questions: Option<Sender<Question>>,
    ended: Receiver<()>,
    patience: Duration,
}

/// A number to be added to that of a key, and who is told the sum.
struct Question {
    key: String,
    by: i64,
    answer: Sender<Result<i64>>,
}

/// What is known of a process by its signs of life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence {
    last: Option<i64>,
    looks: u32,
}

impl Store {
    /// Asks the store of a group, where others look for signs of life of this rank once in each `look`.
    pub fn new(group: Arc<Group>, rank: usize, look: Duration) -> Self {
        let (questions, asked) = channel();
        let (end, ended) = channel();
        thread::spawn(move || {
            answer(&group, &asked, &sign_key(rank), look / SIGNS);
            drop(group);
            let _ = end.send(());
        });
        Store {
            questions: Some(questions),
            ended,
            patience: look.max(PATIENCE),
        }
    }

    /// Adds to the number of a key, which begins with 0, and returns it.
    ///
    /// # Errors
    /// A store that is gone, or does not answer in time.
    pub fn add(&self, key: &str, by: i64) -> Result<i64> {
        let answered = self.ask(key, by)?;
        answered.ok_or_else(|| Error::new("the store does not answer"))
    }

    /// The number of a key; `None` if the store does not answer in time.
    ///
    /// # Errors
    /// A store that is gone.
    pub fn get(&self, key: &str) -> Result<Option<i64>> {
        self.ask(key, 0)
    }

    fn ask(&self, key: &str, by: i64) -> Result<Option<i64>> {
        let (answer, answered) = channel();
        let question = Question {
            key: key.to_string(),
            by,
            answer,
        };
        if let Some(questions) = &self.questions {
            // The thread is there as long as it can be asked.
            let _ = questions.send(question);
        }
        answered.recv_timeout(self.patience).ok().transpose()
    }

    /// Signs of life that a rank has given; less than 0 if another one has given it up, `None` if the store does not answer in
    /// time.
    ///
    /// # Errors
    /// A store that is gone.
    pub fn signs(&self, rank: usize) -> Result<Option<i64>> {
        self.get(&sign_key(rank))
    }

    /// Tells the others that a rank is lost.
    ///
    /// # Errors
    /// Those of [`Store::add`].
    pub fn give_up(&self, rank: usize) -> Result<()> {
        self.add(&sign_key(rank), -GIVEN_UP).map(|_| ())
    }
}

impl Drop for Store {
    /// Ends the thread, unless it waits for a store that does not answer.
    fn drop(&mut self) {
        self.questions = None;
        let _ = self.ended.recv_timeout(self.patience);
    }
}

impl Silence {
    /// Takes note of a look at a process's signs, `None` if the store did not answer. Returns whether the process is lost.
    pub fn look(&mut self, signs: Option<i64>) -> bool {
        self.looks = match signs {
            Some(signs) if signs < 0 => LOOKS,
            Some(signs) if self.last != Some(signs) => 0,
            Some(_) => self.looks + 1,
            // It has taken as long as the time between two looks, or longer.
            None => self.looks + 2,
        };
        self.last = signs.or(self.last);
        self.looks >= LOOKS
    }
}

/// Answers questions, and gives a sign once in each interval, until nobody can ask any more.
fn answer(group: &Group, asked: &Receiver<Question>, sign: &str, interval: Duration) {
    let mut due = Instant::now();
    loop {
        match asked.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(question) => {
                // Who has asked may have given up.
                let _ = question.answer.send(group.add(&question.key, question.by));
            }
            Err(RecvTimeoutError::Timeout) => {
                // Who asks next is told that the store is gone.
                let _ = group.add(sign, 1);
                due = Instant::now() + interval;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn sign_key(rank: usize) -> String {
    format!("signs/{rank}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_lost_after_many_looks_without_a_sign() {
        let mut silence = Silence::default();
        // However long it takes, as long as the signs come.
        for signs in 0..1000 {
            assert!(!silence.look(Some(signs / 9)));
        }
        let looks = |signs: Option<i64>| {
            let mut silence = silence;
            (1..).find(|_| silence.look(signs)).unwrap()
        };
        assert_eq!([looks(Some(111)), looks(Some(112))], [10, 11]);
        assert_eq!(looks(None), 5);
        assert_eq!(looks(Some(112 - GIVEN_UP)), 1);
    }
}
