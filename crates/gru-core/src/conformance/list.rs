//! The one list of cases: what makes tests of them, and their names.

/// Gives the names of all cases to a macro, behind what stands in the brackets: the one list of them.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($($macro:ident)::+ ! [$($first:tt)*]) => {
        $($macro)::+! { @ $($first)*
            gradients_equal_the_oracle_at_odd_sizes
            gradients_equal_the_oracle_at_the_chapters_sizes
            shorter_updates_equal_the_oracle
            training_equals_the_oracle
            training_equals_the_oracle_at_the_chapters_sizes
            a_plan_in_pieces_is_the_same_plan
            the_same_run_gives_the_same_bits
            evaluation_equals_the_oracle
            forward_equals_the_oracle
            text_equals_the_oracle_and_lanes_together_lanes_alone
            a_vocabulary_of_one_changes_nothing
            a_cancelled_run_has_applied_what_it_reported
            what_is_not_finite_is_never_applied
            wrong_arguments_are_refused
        }
    };
}

/// Makes one `#[test]` of every case, for the backend that `$make` makes.
#[macro_export]
macro_rules! conformance_suite {
    (@ $make:expr, $tolerance:expr, $($case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::$case($make, $tolerance);
            }
        )+
    };
    ($make:expr, $tolerance:expr) => {
        $crate::conformance_cases! { $crate::conformance_suite! [$make, $tolerance,] }
    };
}

macro_rules! names {
    (@ $($case:ident)+) => { &[$(stringify!($case)),+] };
}

/// The names of all cases.
pub const CASES: &[&str] = conformance_cases!(names![]);

#[cfg(test)]
mod tests {
    use super::CASES;

    #[test]
    fn every_case_is_in_the_list() {
        let source = include_str!("../conformance.rs");
        let is_case = |name: &&str| {
            ["(make: Make, tolerance: Tolerance)", "(make: Make, _: Tolerance)"]
                .iter()
                .any(|arguments| source.contains(&format!("\npub fn {name}{arguments} {{")))
        };
        let functions: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next())
            .filter(is_case)
            .collect();
        assert_eq!(CASES, functions);
    }
}
