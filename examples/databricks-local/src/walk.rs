//! The walk as it is told: parts, steps, remarks; each request with its answer, which is checked before the next.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;

use crate::Failure;
use crate::answer::{Answer, Checked};
use crate::environment::Environment;
use crate::layout;
use crate::request::Request;

/// How long an answer may take to become what is expected.
const PATIENCE: Duration = Duration::from_secs(90);
/// A wait that is worth a word.
const NOTABLE: Duration = Duration::from_secs(1);
const RULE: usize = 100;
const MARGIN: &str = "    ";

/// Somebody who walks, and tells it on standard output.
pub(crate) struct Walk {
    /// The variables that the commands name.
    pub(crate) environment: Environment,
    client: Client,
    step: String,
    has_colours: bool,
}

impl Walk {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self {
            environment: Environment::default(),
            client: Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(150))
                .build()?,
            step: String::new(),
            has_colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        })
    }

    /// Begins a part.
    pub(crate) fn part(&self, title: &str) {
        let rule = "═".repeat(RULE);
        println!("\n\n{}", self.styled(&format!("{rule}\n{title}\n{rule}"), "1"));
    }

    /// Begins a step. What fails from here on is told with its title.
    pub(crate) fn step(&mut self, title: &str) {
        self.step = title.to_owned();
        let rule = "─".repeat(RULE.saturating_sub(title.chars().count() + 4));
        println!("\n{}", self.styled(&format!("── {title} {rule}"), "1;36"));
    }

    /// A remark, as a shell's comment.
    pub(crate) fn remark(&self, text: &str) {
        println!();
        for line in text.lines() {
            println!("# {line}");
        }
    }

    /// A text that is neither command nor answer, such as a file.
    pub(crate) fn quote(&self, text: &str) {
        println!();
        for line in text.trim_end().lines() {
            println!("{}", format!("{MARGIN}{line}").trim_end());
        }
    }

    /// Sets a variable and shows the line that does so in a shell.
    pub(crate) fn export(&mut self, name: &str, value: impl Into<String>) -> Result<(), Failure> {
        self.environment.set(name, value);
        println!("{}", self.styled(&self.environment.shown(name)?, "1"));
        Ok(())
    }

    /// Asks once, and checks the answer.
    pub(crate) async fn ask(
        &self,
        request: Request,
        check: impl Fn(&Answer) -> Checked,
    ) -> Result<Answer, Failure> {
        self.ask_within(request, check, Duration::ZERO).await
    }

    /// Asks until the answer is what is expected, and shows that one.
    pub(crate) async fn ask_until(
        &self,
        request: Request,
        check: impl Fn(&Answer) -> Checked,
    ) -> Result<Answer, Failure> {
        self.ask_within(request, check, PATIENCE).await
    }

    async fn ask_within(
        &self,
        request: Request,
        check: impl Fn(&Answer) -> Checked,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        println!("\n{}", self.styled(&request.command(), "1"));
        let begun = Instant::now();
        loop {
            let sent = request.send(&self.client, &self.environment).await;
            let answer = sent.map_err(|error| self.failure(&format!("there was no answer: {error}")))?;
            let checked = check(&answer);
            if checked.is_err() && begun.elapsed() < patience {
                tokio::time::sleep(Duration::from_millis(250)).await;
                continue;
            }
            self.show(&answer, begun.elapsed());
            return match checked {
                Ok(()) => Ok(answer),
                Err(problem) => Err(self.failure(&problem)),
            };
        }
    }

    fn failure(&self, problem: &str) -> Failure {
        format!("{}: {}", self.step, self.environment.hide(problem)).into()
    }

    fn show(&self, answer: &Answer, waited: Duration) {
        let is_good = answer.status.is_success() && answer.text("/status/state") != "FAILED";
        let colour = if is_good { "32" } else { "33" };
        let mut status = answer.status.to_string();
        let rows = answer.rows();
        if rows.is_some() {
            let state = answer.text("/status/state");
            status.push_str(&format!(", {state}; the rows of .result.data_array:"));
        }
        if waited > NOTABLE {
            status = format!("{status}   (after {:.1} s)", waited.as_secs_f64());
        }
        println!("\n{MARGIN}{}", self.styled(&status, colour));
        let text = match (&rows, &answer.body) {
            (Some(rows), _) => layout::rows(rows),
            (None, Value::Null) => return,
            (None, body) => layout::json(body),
        };
        for line in self.environment.hide(&text).lines() {
            println!("{}", format!("{MARGIN}{line}").trim_end());
        }
    }

    fn styled(&self, text: &str, codes: &str) -> String {
        match self.has_colours {
            true => format!("\u{1b}[{codes}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}
