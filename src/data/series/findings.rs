/*!
What was found in a file of series and has to be told: each kind once, with its first examples.
*/

/// Number of examples that are told.
const EXAMPLES: usize = 3;

/// Something that was found, how often, and where first.
#[derive(Clone, Debug, Default)]
pub(super) struct Finding {
    count: usize,
    examples: Vec<String>,
}

impl Finding {
    /// Counts another one; `example` says where.
    pub fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    /// The examples, and how many more there are; `None` where nothing was found.
    pub fn text(&self) -> Option<String> {
        let more = match self.count - self.examples.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        (self.count > 0).then(|| self.examples.join(", ") + &more)
    }
}

/// What was found in a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// What the file is called.
    pub file: String,
    /// Whole sentences.
    pub notes: Vec<String>,
    /// Rows without a date.
    pub no_date: Finding,
    /// Parts of a list that are no finite numbers.
    pub no_number: Finding,
    /// Whether the newest rows stand first.
    pub newest_first: bool,
    /// Rows whose date is before that of the row above.
    pub backwards: Finding,
    /// Rows whose date was there before.
    pub repeated: Finding,
    /// Hours that come twice, as clocks are set back.
    pub repeated_hour: Finding,
    /// Hours that are missing, as clocks are set forward.
    pub skipped_hour: Finding,
    /// Dates that lie between two places of the step.
    pub off_grid: Finding,
    /// Dates that are missing.
    pub gaps: Finding,
    /// Dates that are very far from the one before.
    pub far: Finding,
    /// Series whose dates have no regular step.
    pub irregular: Finding,
    /// Series that end with rows without values.
    pub open_end: Finding,
    /// Series without any value.
    pub empty: Finding,
}

impl Findings {
    /// Nothing found yet.
    pub fn new(file: &str) -> Self {
        Findings {
            file: file.to_string(),
            ..Findings::default()
        }
    }

    /// A sentence for each kind.
    pub fn into_notes(self) -> Vec<String> {
        let file = &self.file;
        let kinds = [
            (&self.no_date, "rows without a date are left out"),
            (
                &self.no_number,
                "what is no finite number is taken for a missing value",
            ),
            (&self.backwards, "dates that go backwards are put in order"),
            (
                &self.repeated,
                "of rows with the same date the mean is taken",
            ),
            (
                &self.repeated_hour,
                "hours that come twice, as clocks are set back, become their mean",
            ),
            (
                &self.skipped_hour,
                "hours that never were, as clocks were set forward, are missing values",
            ),
            (
                &self.off_grid,
                "dates between two steps count for the step before",
            ),
            (&self.gaps, "missing dates are missing values"),
            (&self.far, "dates are so far apart that one may be wrong"),
            (
                &self.irregular,
                "dates without a regular step are taken one after another, as if they had one",
            ),
            (
                &self.open_end,
                "rows without a value at the end are left out",
            ),
            (&self.empty, "series without any value are left out"),
        ];
        let sentence = |(finding, what): (&Finding, &str)| {
            Some(format!("{file}: {what}: {}", finding.text()?))
        };
        let sentences: Vec<String> = kinds.into_iter().filter_map(sentence).collect();
        let reversed = self
            .newest_first
            .then(|| format!("{file}: the newest rows stand first; they are put in order"));
        self.notes
            .into_iter()
            .chain(reversed)
            .chain(sentences)
            .collect()
    }
}
