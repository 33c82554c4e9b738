//! Being built.
/// Stub until the shell lands.
pub async fn serve(
    _config: &crate::config::Config,
    _handle: std::sync::Arc<crate::app::Handle>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    stop.await;
    Ok(())
}
