//! Misuse that must not compile; each file of `tests/refused/` is one case.

#[doc = concat!("```compile_fail,E0277\n", include_str!("../tests/refused/names_a_trait_it_lacks.rs"), "\n```")]
mod names_a_trait_it_lacks {}

#[doc = concat!("```compile_fail\n", include_str!("../tests/refused/a_future_that_cannot_change_threads.rs"), "\n```")]
mod a_future_that_cannot_change_threads {}

#[doc = concat!("```compile_fail,E0616\n", include_str!("../tests/refused/reads_a_secret_by_field.rs"), "\n```")]
mod reads_a_secret_by_field {}
