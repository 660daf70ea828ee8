//! stand-in in this worktree only
/// r
#[allow(clippy::unused_async)]
/// # Errors
/// n
pub async fn run(_: crate::settings::Settings, _: bool) -> anyhow::Result<()> {
    Err(anyhow::anyhow!("nothing is ready").context(crate::exit::Exit::Operator))
}
