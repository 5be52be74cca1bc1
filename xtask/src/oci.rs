//! An image as an OCI archive: one layer of given files, the same bytes from the same files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Write,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// What an image is made of.
pub(crate) struct Image {
    /// With its tag: `localhost/netpol-verify:dev`.
    pub(crate) name: &'static str,
    /// The program that is started.
    pub(crate) entrypoint: &'static str,
    /// Path without the leading slash, and content; all are executable.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// Nobody in particular; the same as distroless images use.
const USER: &str = "65532:65532";

impl Image {
    /// Writes the archive: an OCI layout, with the file `manifest.json` beside it that `docker load` reads.
    pub(crate) fn write(&self, archive: &Path) -> Result<()> {
        let layer = self.layer()?;
        let layer_digest = digest(&layer);
        let machine = architecture()?;
        let config = json!({
            "architecture": machine,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": [self.entrypoint], "User": USER, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [&layer_digest]},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.oci.image.config.v1+json", &config),
            "layers": [blob("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string()
        .into_bytes();
        let mut entry = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
        entry["platform"] = json!({"architecture": machine, "os": "linux"});
        entry["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": self.name.rsplit(':').next(),
        });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        });
        let docker = json!([{
            "Config": place(&digest(&config)),
            "RepoTags": [self.name],
            "Layers": [place(&layer_digest)],
        }]);
        let file = File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
        let mut tar = Builder::new(file);
        for (name, content) in [
            ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()),
            ("index.json", index.to_string().as_bytes()),
            ("manifest.json", docker.to_string().as_bytes()),
            (&place(&digest(&config)), &config),
            (&place(&digest(&manifest)), &manifest),
            (&place(&layer_digest), &layer),
        ] {
            add(&mut tar, name, EntryType::Regular, 0o644, content)?;
        }
        tar.into_inner()?.flush()?;
        println!(
            "{} in {}: {} MiB.",
            self.name,
            archive.display(),
            layer.len() >> 20
        );
        Ok(())
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        // What runtimes mount upon, then what the files lie in.
        let mut folders: BTreeSet<&str> = ["dev", "etc", "proc", "sys"].into();
        for file in self.files.keys() {
            folders.extend(file.match_indices('/').map(|(end, _)| &file[..end]));
        }
        for folder in folders {
            add(&mut tar, folder, EntryType::Directory, 0o755, &[])?;
        }
        for (file, content) in &self.files {
            add(&mut tar, file, EntryType::Regular, 0o755, content)?;
        }
        Ok(tar.into_inner()?)
    }
}

/// One entry: of no time, and root's.
fn add(tar: &mut Builder<impl Write>, name: &str, kind: EntryType, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, content)
        .with_context(|| format!("cannot add {name}"))
}

fn blob(kind: &str, content: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(content), "size": content.len()})
}

fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Where a blob lies in the archive.
fn place(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// The machine's, as images name it.
fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no image for {other}: netpol-verify is built for x86_64 and aarch64"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Image, digest, place};

    fn image() -> Image {
        Image {
            name: "localhost/x:dev",
            entrypoint: "/x",
            files: BTreeMap::from([("x".to_owned(), vec![1]), ("lib/y/z.so".to_owned(), vec![2, 3])]),
        }
    }

    #[test]
    fn a_layer_holds_each_file_after_its_folders() {
        let layer = image().layer().unwrap();
        let names: Vec<String> = tar::Archive::new(layer.as_slice())
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            ["dev", "etc", "lib", "lib/y", "proc", "sys", "lib/y/z.so", "x"]
        );
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert_eq!(
            digest(&image().layer().unwrap()),
            digest(&image().layer().unwrap())
        );
    }

    #[test]
    fn a_blob_lies_where_its_digest_says() {
        assert_eq!(
            place(&digest(b"")),
            "blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
