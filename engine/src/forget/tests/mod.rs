//! Tests of forgetting: the rules against an oracle and against restic, and what binds.

mod binding;
mod oracle;
mod restic;
