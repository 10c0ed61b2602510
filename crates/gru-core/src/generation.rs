//! Writing text: one or several texts side by side, a character of each at a time.
//!
//! A text is a function of the parameters, its prefix, its seed and the [`Sampling`] alone: neither the other texts
//! beside it, nor the pieces it is written in, nor the number of threads changes a character of it.

mod choice;

pub use choice::{Chooser, Sampling};

use crate::Sizes;
use crate::backend::{Backend, Error, check_ids};
use crate::random::Random;
use crate::sizes::MAX_ELEMENTS;
use std::collections::VecDeque;

/// Most texts side by side.
pub const MAX_TEXTS: usize = 1024;

/// How far back the repetition penalty looks, in characters.
pub const REPETITION_WINDOW: usize = 64;

/// Characters of a prefix that are read between two looks at whether to stop.
const PREFIX_PIECE: usize = 64;

/// What a text begins with, and the seed of its random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Ids of the prefix, at least one.
    pub prefix: Vec<u32>,
    /// Seed of the stream (seed, "sampling").
    pub seed: u64,
}

/// One of the texts.
struct Text {
    /// What of the prefix is still to be read; its last character is the first one fed to a step.
    prefix: Vec<u32>,
    read: usize,
    /// The last character, which the next step is fed.
    last: u32,
    /// The characters before the next one, as far as the repetition penalty looks.
    recent: VecDeque<u32>,
    random: Random,
}

/// Texts that are being written, and all that writing goes on from.
pub struct Texts {
    texts: Vec<Text>,
    chooser: Chooser,
    /// Hidden states, `[texts, hidden_size]`; empty before the first piece.
    states: Vec<f32>,
    /// Logits of a step, `[texts, vocab_size]`.
    logits: Vec<f32>,
    /// The characters that a step is fed, `[texts]`.
    fed: Vec<u32>,
}

/// What a piece of writing gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The characters written, `[characters, texts]`: the first of every text, then the second of every text.
    pub ids: Vec<u32>,
    /// Characters of each text; fewer than asked for where the writing was stopped.
    pub characters: usize,
}

impl Texts {
    /// Texts of which nothing is written yet.
    ///
    /// # Errors
    /// What [`Sampling::check`] finds; [`Error::Length`] for no text, more than [`MAX_TEXTS`] or an empty prefix.
    pub fn new(beginnings: Vec<Beginning>, sampling: Sampling) -> Result<Self, Error> {
        sampling.check()?;
        if beginnings.is_empty() || beginnings.len() > MAX_TEXTS {
            let expected = format!("1 to {MAX_TEXTS}");
            return Err(Error::Length { name: "prefixes", expected, received: beginnings.len() });
        }
        let text = |Beginning { prefix, seed }: Beginning| {
            let last = *prefix.last().ok_or_else(|| Error::Length {
                name: "a prefix",
                expected: "at least 1".into(),
                received: 0,
            })?;
            let window = &prefix[prefix.len().saturating_sub(REPETITION_WINDOW)..];
            let recent = window.iter().copied().collect();
            Ok(Text { prefix, read: 0, last, recent, random: Random::stream(seed, "sampling") })
        };
        let texts = beginnings.into_iter().map(text).collect::<Result<Vec<_>, Error>>()?;
        let fed = vec![0; texts.len()];
        Ok(Self { texts, chooser: Chooser::new(sampling), states: vec![], logits: vec![], fed })
    }

    /// Number of texts.
    pub fn count(&self) -> usize {
        self.texts.len()
    }

    /// Writes so many more characters of every text, fewer once `stops` says so: it is asked before each. Texts
    /// that were stopped can be gone on with.
    ///
    /// # Errors
    /// [`Error::Value`] for a prefix with ids that the network does not have, [`Error::Length`] where the texts were
    /// begun by a network of another size, [`Error::OutOfMemory`], and what the backend gives.
    pub fn write(
        &mut self,
        backend: &mut dyn Backend,
        count: usize,
        stops: &mut dyn FnMut() -> bool,
    ) -> Result<Piece, Error> {
        self.prepare(backend)?;
        let mut piece = Piece::default();
        if !self.read_prefixes(backend, stops)? {
            return Ok(piece);
        }
        let vocab_size = backend.sizes().vocab_size;
        while piece.characters < count && !stops() {
            for (fed, text) in self.fed.iter_mut().zip(&self.texts) {
                *fed = text.last;
            }
            backend.run_step(&self.fed, &mut self.states, &mut self.logits)?;
            for (text, logits) in self.texts.iter_mut().zip(self.logits.chunks_exact(vocab_size)) {
                let (older, newer) = text.recent.as_slices();
                let id = self.chooser.choose(logits, [older, newer], &mut text.random);
                if text.recent.len() == REPETITION_WINDOW {
                    text.recent.pop_front();
                }
                text.recent.push_back(id);
                text.last = id;
                piece.ids.push(id);
            }
            piece.characters += 1;
        }
        Ok(piece)
    }

    /// Checks the texts against the network, and makes the first piece's memory.
    fn prepare(&mut self, backend: &dyn Backend) -> Result<(), Error> {
        let sizes = backend.sizes();
        let expected = [self.count() * sizes.hidden_size, self.count() * sizes.vocab_size];
        if self.states.is_empty() {
            for text in &self.texts {
                check_ids(&text.prefix, sizes.vocab_size)?;
            }
            self.states = zeros(expected[0])?;
            self.logits = zeros(expected[1])?;
        }
        let received = [self.states.len(), self.logits.len()];
        for (name, (expected, received)) in
            ["states", "logits"].into_iter().zip(expected.into_iter().zip(received))
        {
            if expected != received {
                return Err(Error::Length { name, expected: expected.to_string(), received });
            }
        }
        Ok(())
    }

    /// Reads what is left of the prefixes but for their last characters; whether it came to their ends.
    fn read_prefixes(
        &mut self,
        backend: &mut dyn Backend,
        stops: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Error> {
        let Sizes { hidden_size, vocab_size, .. } = *backend.sizes();
        let most = PREFIX_PIECE.min(MAX_ELEMENTS / vocab_size);
        for (text, state) in self.texts.iter_mut().zip(self.states.chunks_exact_mut(hidden_size)) {
            while text.read + 1 < text.prefix.len() {
                if stops() {
                    return Ok(false);
                }
                let end = (text.prefix.len() - 1).min(text.read + most);
                let forward = backend.run_forward(&text.prefix[text.read..end], state)?;
                state.copy_from_slice(&forward.state);
                text.read = end;
            }
        }
        Ok(true)
    }
}

/// So many zeros.
fn zeros(len: usize) -> Result<Vec<f32>, Error> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| Error::OutOfMemory { bytes: len * size_of::<f32>() })?;
    values.resize(len, 0.0);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Oracle;
    use crate::random::initial_parameters;

    fn oracle(vocab_size: usize, hidden_size: usize) -> Oracle {
        let sizes = Sizes { vocab_size, hidden_size, batch_size: 1, num_steps: 1, candidate_bias: false };
        let mut oracle = Oracle::new(sizes).unwrap();
        oracle.set_parameters(&initial_parameters(&sizes, 3, 0.7)).unwrap();
        oracle
    }

    fn texts(prefixes: &[&[u32]], sampling: Sampling) -> Result<Texts, Error> {
        let beginning =
            |(seed, prefix): (usize, &&[u32])| Beginning { prefix: prefix.to_vec(), seed: seed as u64 };
        Texts::new(prefixes.iter().enumerate().map(beginning).collect(), sampling)
    }

    const SAMPLED: Sampling = Sampling { temperature: 1.0, top_k: 9, top_p: 0.9, repetition_penalty: 1.2 };

    #[test]
    fn what_was_stopped_goes_on_as_if_it_had_not_been() {
        let mut oracle = oracle(23, 7);
        let prefixes: [&[u32]; 3] = [&[1; 150], &[2, 3], &[4; 65]];
        let whole = texts(&prefixes, SAMPLED).unwrap().write(&mut oracle, 90, &mut || false).unwrap();
        assert_eq!((whole.characters, whole.ids.len()), (90, 270));
        let mut stopped = texts(&prefixes, SAMPLED).unwrap();
        let (mut ids, mut asked) = (vec![], 0);
        while ids.len() < 270 {
            // The first look comes before anything, the second after some of the first prefix, and so on.
            let mut stops = || {
                asked += 1;
                asked % 3 == 0
            };
            let piece = stopped.write(&mut oracle, 90 - ids.len() / 3, &mut stops).unwrap();
            assert_eq!(piece.ids.len(), piece.characters * 3);
            ids.extend(piece.ids);
        }
        assert_eq!(ids, whole.ids);
        assert!(asked > 90);
    }

    #[test]
    fn the_penalty_looks_at_the_last_64_characters_of_prefix_and_text() {
        let mut oracle = oracle(70, 1);
        let zeros = vec![0.0; oracle.parameters.len()];
        oracle.set_parameters(&zeros).unwrap();
        // All logits are equal but for the bias of the last id, which the penalty takes below the others.
        *oracle.parameters.last_mut().unwrap() = 1.0;
        oracle.parameters.iter_mut().rev().skip(1).take(69).for_each(|bias| *bias = 0.9);
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::GREEDY };
        let mut prefix = vec![0; 64];
        prefix[0] = 69;
        let piece = texts(&[&prefix], sampling).unwrap().write(&mut oracle, 3, &mut || false).unwrap();
        assert_eq!(piece.ids, [1, 69, 2]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |prefixes: &[&[u32]]| texts(prefixes, SAMPLED).err().unwrap();
        assert!(matches!(refused(&[]), Error::Length { name: "prefixes", received: 0, .. }));
        assert!(matches!(refused(&[&[1][..]; 1025]), Error::Length { name: "prefixes", received: 1025, .. }));
        assert!(matches!(refused(&[&[1], &[]]), Error::Length { name: "a prefix", received: 0, .. }));
        let wrong = Sampling { top_p: 0.0, ..SAMPLED };
        assert!(matches!(texts(&[&[1]], wrong), Err(Error::Value { name: "top_p", .. })));
        let mut never = || false;
        let mut begun = texts(&[&[1], &[2, 9]], SAMPLED).unwrap();
        let error = begun.write(&mut oracle(9, 3), 1, &mut never).unwrap_err();
        assert!(matches!(error, Error::Value { name: "ids", index: 1, .. }), "{error}");
        begun.write(&mut oracle(10, 3), 1, &mut never).unwrap();
        for [vocab_size, hidden_size] in [[10, 4], [11, 3]] {
            let error = begun.write(&mut oracle(vocab_size, hidden_size), 1, &mut never).unwrap_err();
            assert!(matches!(error, Error::Length { .. }), "{error}");
        }
        assert_eq!(begun.write(&mut oracle(10, 3), 0, &mut never), Ok(Piece::default()));
    }
}
