//! What the device must know of the updates ahead: where their lanes begin, and which rows use which character.

use gru_core::{Plan, Sizes};

/// Tables of several updates, each as the field of the same name of [`crate::Task`] has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// `[updates, B]`
    pub starts: Vec<u32>,
    /// `[updates]`
    pub num_runs: Vec<u32>,
    /// `[updates, R]`; what lies behind an update's last run is 0.
    pub run_ids: Vec<u32>,
    /// `[updates, R + 1]`; what lies behind is 0.
    pub run_begins: Vec<u32>,
    /// `[updates, R]`
    pub run_rows: Vec<u32>,
}

impl Tables {
    /// The tables of `updates` of the plan over a corpus.
    pub fn new(sizes: &Sizes, corpus: &[u32], plan: &Plan, updates: std::ops::Range<usize>) -> Self {
        let (batch, rows) = (sizes.batch_size, plan.num_steps * sizes.batch_size);
        let starts = plan.starts[updates.start * batch..updates.end * batch].to_vec();
        let mut tables = Self {
            num_runs: Vec::with_capacity(updates.len()),
            run_ids: vec![0; updates.len() * rows],
            run_begins: vec![0; updates.len() * (rows + 1)],
            run_rows: vec![0; updates.len() * rows],
            starts,
        };
        // Rows sorted by character by counting, which keeps the rows of a character in ascending order.
        let mut place_of = vec![0u32; sizes.vocab_size];
        for (index, starts) in tables.starts.chunks_exact(batch).enumerate() {
            let id_of = |row: usize| corpus[starts[row % batch] as usize + row / batch] as usize;
            place_of.fill(0);
            for row in 0..rows {
                place_of[id_of(row)] += 1;
            }
            let ids = &mut tables.run_ids[index * rows..][..rows];
            let begins = &mut tables.run_begins[index * (rows + 1)..][..rows + 1];
            let (mut run, mut begin) = (0, 0);
            for (id, place) in place_of.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
                ids[run] = id as u32;
                begins[run] = begin;
                begin += std::mem::replace(place, begin);
                run += 1;
                begins[run] = begin;
            }
            for row in 0..rows {
                let place = &mut place_of[id_of(row)];
                tables.run_rows[index * rows + *place as usize] = row as u32;
                *place += 1;
            }
            tables.num_runs.push(run as u32);
        }
        tables
    }

    /// The characters that update `index` uses, in the order in which their gradients lie.
    pub fn ids_of(&self, index: usize, rows: usize) -> &[u32] {
        &self.run_ids[index * rows..][..self.num_runs[index] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_once_under_its_character_in_ascending_order() {
        let sizes =
            Sizes { vocab_size: 9, hidden_size: 1, batch_size: 3, num_steps: 4, candidate_bias: false };
        let corpus: Vec<u32> = (0..40).map(|i| i * i % 9).collect();
        let plan = Plan { starts: vec![0, 7, 30, 2, 2, 5], num_steps: 4, ..Plan::default() };
        for updates in [0..2, 1..2] {
            let tables = Tables::new(&sizes, &corpus, &plan, updates.clone());
            for (index, update) in updates.enumerate() {
                let begins = &tables.run_begins[index * 13..][..13];
                let mut seen: Vec<u32> = vec![];
                for (run, &id) in tables.ids_of(index, 12).iter().enumerate() {
                    let rows = &tables.run_rows[index * 12..][begins[run] as usize..begins[run + 1] as usize];
                    assert!(!rows.is_empty() && rows.is_sorted());
                    for &row in rows {
                        let start = plan.starts[update * 3 + row as usize % 3];
                        assert_eq!(corpus[(start + row / 3) as usize], id);
                    }
                    seen.extend(rows);
                }
                assert!(tables.ids_of(index, 12).is_sorted());
                seen.sort_unstable();
                assert_eq!(seen, (0..12).collect::<Vec<u32>>());
            }
        }
    }
}
