//! Writes the first inputs of every fuzz target into a folder: `seeds FOLDER`.

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.ok_or_else(|| std::io::Error::other("say a folder"))?;
    strongroom_fuzz::seeds::write(folder.as_ref())
}
