//! One table of a view: each materialisation has its own.

use super::columns::quoted;

/// The schema of the views that SQL users read.
pub(super) const VIEWS: &str = "sof";

/// The schema of the tables behind them.
pub(super) const TABLES: &str = "lakefeed_sof";

/// How much of a view's name stands in its table's: the number behind it has to fit as well.
const NAME_IN_TABLE: usize = 40;

/// A table of a view, and the destination that fills it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// The view's name.
    pub(super) name: String,
    /// Its number among the tables of all views; never given twice.
    pub(super) number: i64,
    /// The view's version that its rows are made with.
    pub(super) version: u64,
    pub(super) state: State,
}

/// What a table is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is filled, and nobody reads it yet.
    Building,
    /// SQL users read it.
    Serving,
    /// A newer one took its place: it goes as soon as no query reads it any more.
    Retired,
    /// An operator dropped it: there is nothing until the view is materialised again.
    Dropped,
}

impl Generation {
    /// The id of the destination that fills it. A FHIR id has no `/`, so no resource's destination is called so.
    pub(super) fn destination(&self) -> String {
        format!("{VIEWS}.{}/{}", self.name, self.number)
    }

    /// The table, as SQL names it.
    pub(super) fn table(&self) -> String {
        format!("{TABLES}.{}", quoted(&self.table_name()))
    }

    /// The table's name. The number at its end tells it from the one of every other view.
    pub(super) fn table_name(&self) -> String {
        let name: String = self.name.chars().take(NAME_IN_TABLE).collect();
        format!("{name}_{}", self.number)
    }
}

/// The view that SQL users read, as SQL names it.
pub(super) fn view(name: &str) -> String {
    format!("{VIEWS}.{}", quoted(name))
}

/// The name of the view that a destination fills; none for a destination of a resource.
pub fn view_of(destination: &str) -> Option<&str> {
    let (view, _) = destination.split_once('/')?;
    view.strip_prefix(VIEWS)?.strip_prefix('.')
}

impl State {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "building" => Self::Building,
            "serving" => Self::Serving,
            "dropped" => Self::Dropped,
            _ => Self::Retired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_bears_its_views_name_as_far_as_it_fits() {
        let generation = |name: &str| Generation {
            name: name.to_owned(),
            number: i64::MAX,
            version: 1,
            state: State::Building,
        };
        let long = generation(&"n".repeat(63));
        assert!(long.table_name().len() <= 63);
        assert_eq!(
            generation("Patients").table(),
            "lakefeed_sof.\"Patients_9223372036854775807\""
        );
    }

    #[test]
    fn a_destinations_id_tells_its_view() {
        let generation = Generation {
            name: "patients".to_owned(),
            number: 7,
            version: 1,
            state: State::Serving,
        };
        assert_eq!(generation.destination(), "sof.patients/7");
        assert_eq!(view_of("sof.patients/7"), Some("patients"));
        assert_eq!((view_of("sof.patients"), view_of("patients")), (None, None));
    }
}
