//! Has the migrations of `sql/` compiled in anew when one is added: `sqlx::migrate!` notices changed files only.

fn main() {
    println!("cargo::rerun-if-changed=../sql");
}
