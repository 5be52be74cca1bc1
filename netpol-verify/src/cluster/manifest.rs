//! Manifests from files, directories, standard input or text: what they hold, and what could not be taken.

use std::{
    collections::HashMap,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    ClusterState, Locator, Object, Place, Problem, Snapshot, convert,
    document::{self, Document},
    object::{Kind, ObjectKey},
    path::FieldPath,
    workload::{self, Template},
};

/// More than any dump of a cluster this is meant for; a device file must not fill the memory.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// So many documents are parsed before they are converted.
const DOCUMENTS_AT_ONCE: usize = 1024;
/// Messages quote the input, which may be hostile in length.
const MAX_MESSAGE_CHARS: usize = 400;

/// The place of what an API server told.
const CLUSTER: &str = "cluster";

/// What manifests held.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The objects, in order; of two with one name only the later.
    pub objects: Vec<Object>,
    /// What could not be taken as it stands.
    pub problems: Vec<Problem>,
    /// Objects of kinds that do not matter here.
    pub ignored: usize,
    /// What workloads' templates stand for, until all objects are known.
    templates: Vec<Template>,
    seen: HashMap<ObjectKey, (usize, Place)>,
    locator: Locator,
    /// The namespace of objects that name none; `default` when absent, as for kubectl.
    namespace: Option<String>,
}

/// Where a value came from.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    file: &'a Path,
    line: u64,
    /// Absent where only the value's own line is known (JSON streams).
    document: Option<&'a Document<'a>>,
    /// The path of the value in its document: `items[3]`.
    prefix: FieldPath,
    /// The namespace of an object that names none.
    pub(crate) namespace: &'a str,
}

impl Loaded {
    /// Reads files, directories (their `.yaml`, `.yml` and `.json` files by name, as kubectl, not what lies deeper) and `-`.
    #[must_use]
    pub fn from_paths(paths: &[PathBuf]) -> Self {
        Self::from_paths_in(paths, None)
    }

    /// As [`Loaded::from_paths`], with another namespace than `default` for objects that name none.
    #[must_use]
    pub fn from_paths_in(paths: &[PathBuf], namespace: Option<&str>) -> Self {
        let mut loaded = Self {
            namespace: namespace.map(str::to_owned),
            ..Self::default()
        };
        for path in paths {
            if path.as_os_str() == "-" {
                loaded.read(path, io::stdin().lock());
            } else if path.is_dir() {
                loaded.read_directory(path);
            } else {
                loaded.read_file(path);
            }
        }
        loaded
    }

    /// Reads a text; `file` is only what problems name.
    #[must_use]
    pub fn from_text(text: &str, file: &Path) -> Self {
        let mut loaded = Self::default();
        loaded.take_text(text, file);
        loaded.locator.keep(file, text.to_owned());
        loaded
    }

    /// What finds the lines of fields in these manifests; it is given once.
    #[must_use]
    pub fn take_locator(&mut self) -> Locator {
        std::mem::take(&mut self.locator)
    }

    /// A cluster that holds just these objects.
    #[must_use]
    pub fn into_state(mut self) -> (ClusterState, Vec<Problem>) {
        let mut state = ClusterState::default();
        workload::settle(self.templates, &mut self.objects, &mut self.problems);
        state.apply(self.objects);
        (state, self.problems)
    }

    /// A snapshot that holds just these objects.
    #[must_use]
    pub fn into_snapshot(self) -> (Snapshot, Vec<Problem>) {
        let (state, problems) = self.into_state();
        (state.snapshot(), problems)
    }

    /// Takes items of a list of a cluster, which need not say themselves what they are.
    pub(crate) fn take_listed(&mut self, api_version: &str, kind: &str, items: Vec<Value>) {
        let source = Source {
            file: Path::new(CLUSTER),
            line: 0,
            document: None,
            prefix: FieldPath::default(),
            // A server always says which.
            namespace: "default",
        };
        for item in items {
            self.take(item, &source, Some((api_version, kind)));
        }
    }

    /// Notes that objects of a kind could not be read from a cluster.
    pub(crate) fn lacks(&mut self, kind: &str, message: String) {
        self.problems.push(Problem {
            object: Some(kind.to_owned()),
            ..plain_problem(Path::new(CLUSTER), message)
        });
    }

    fn read_directory(&mut self, directory: &Path) {
        let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut files: Vec<PathBuf> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(error) => return self.unreadable(directory, &error),
        };
        files.retain(|file| {
            let extension = file.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("yaml" | "yml" | "json")) && !file.is_dir()
        });
        files.sort();
        if files.is_empty() {
            let message = "holds no .yaml, .yml or .json file; expected manifests".to_owned();
            self.problems.push(plain_problem(directory, message));
        }
        for file in files {
            self.read_file(&file);
        }
    }

    fn read_file(&mut self, file: &Path) {
        match fs::File::open(file) {
            Ok(open) => self.read(file, open),
            Err(error) => self.unreadable(file, &error),
        }
    }

    fn read(&mut self, file: &Path, from: impl Read) {
        let mut bytes = Vec::new();
        match from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
            Err(error) => self.unreadable(file, &error),
            Ok(size) if size as u64 > MAX_FILE_BYTES => {
                let message = format!("is larger than {} MiB; split it", MAX_FILE_BYTES >> 20);
                self.problems.push(plain_problem(file, message));
            }
            Ok(_) => self.take_bytes(bytes, file),
        }
    }

    fn take_bytes(&mut self, bytes: Vec<u8>, file: &Path) {
        match String::from_utf8(bytes) {
            Ok(text) => self.take_once(text, file),
            Err(error) => {
                // One bad byte spoils its own document only: the replacement character keeps the lines in place.
                let bytes = error.as_bytes();
                let good = error.utf8_error().valid_up_to();
                let newlines = bytes.iter().take(good).filter(|byte| **byte == b'\n').count();
                let place = Place {
                    file: file.to_owned(),
                    line: newlines as u64 + 1,
                };
                let message = "is not UTF-8 here; the byte is taken as U+FFFD".to_owned();
                self.problems.push(Problem {
                    place,
                    object: None,
                    path: None,
                    message,
                });
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.take_once(text, file);
            }
        }
    }

    /// Takes a text, and keeps it where it can be read only once: standard input and pipes.
    fn take_once(&mut self, text: String, file: &Path) {
        self.take_text(&text, file);
        if !file.is_file() {
            self.locator.keep(file, text);
        }
    }

    fn unreadable(&mut self, file: &Path, error: &io::Error) {
        self.problems
            .push(plain_problem(file, format!("cannot be read: {error}")));
    }

    fn take_text(&mut self, text: &str, file: &Path) {
        // Some at a time: what a whole dump of a cluster holds need not be in memory twice.
        for documents in document::split(text).chunks(DOCUMENTS_AT_ONCE) {
            for (document, values) in documents.iter().zip(document::values(documents)) {
                match values {
                    Ok(values) => self.take_document(document, values, file),
                    Err(error) => self.problems.push(Problem {
                        place: Place {
                            file: file.to_owned(),
                            line: error.line,
                        },
                        object: None,
                        path: None,
                        message: bounded(format!(
                            "{}; the document is left out: expected YAML or JSON",
                            error.message
                        )),
                    }),
                }
            }
        }
    }

    fn take_document(&mut self, document: &Document<'_>, values: Vec<(Value, u64)>, file: &Path) {
        let located = (values.len() == 1).then_some(document);
        let namespace = self.namespace.clone();
        for (value, line) in values {
            let source = Source {
                file,
                line,
                document: located,
                prefix: FieldPath::default(),
                namespace: namespace.as_deref().unwrap_or("default"),
            };
            self.take(value, &source, None);
        }
    }

    /// Takes one object or list; `of_list` is what its list says of items which do not say it themselves.
    fn take(&mut self, mut value: Value, source: &Source<'_>, of_list: Option<(&str, &str)>) {
        if value.is_null() {
            return;
        }
        let Some(map) = value.as_object_mut() else {
            let message = format!(
                "expected an object with apiVersion and kind, found {}; it is left out",
                shape(&value)
            );
            self.problems
                .push(source.problem(None, &FieldPath::default(), message));
            return;
        };
        let word = |key| map.get(key).and_then(Value::as_str).map(str::to_owned);
        let api_version =
            word("apiVersion").or_else(|| of_list.map(|(api_version, _)| api_version.to_owned()));
        let kind = word("kind").or_else(|| of_list.map(|(_, kind)| kind.to_owned()));
        let (Some(api_version), Some(kind)) = (api_version, kind) else {
            let lack = if map.get("kind").is_some_and(Value::is_string) {
                "apiVersion"
            } else {
                "kind"
            };
            let message = format!("has no {lack} (a string); expected a Kubernetes object; it is left out");
            self.problems
                .push(source.problem(None, &FieldPath::default(), message));
            return;
        };
        if let (Some(item_kind), Some(Value::Array(items))) =
            (kind.strip_suffix("List"), map.get_mut("items"))
        {
            let of_list = (!item_kind.is_empty()).then_some((api_version.as_str(), item_kind));
            for (index, item) in std::mem::take(items).into_iter().enumerate() {
                let prefix = source.prefix.key("items").index(index);
                let line = source
                    .document
                    .map_or(source.line, |document| document.line_of(&prefix));
                self.take(
                    item,
                    &Source {
                        prefix,
                        line,
                        ..*source
                    },
                    of_list,
                );
            }
            return;
        }
        if let Some(path) = workload::template_path(&api_version, &kind) {
            if let Some(template) = convert::template(&kind, path, value, source, &mut self.problems) {
                self.keep_template(template, source);
            }
            return;
        }
        match (Kind::named(&api_version, &kind), Kind::expected_version(&kind)) {
            (Some(kind), _) => {
                if let Some(object) = convert::object(kind, value, source, &mut self.problems) {
                    self.keep(object, source);
                }
            }
            (None, Some(expected)) => {
                let message =
                    format!("{kind} of {api_version:?} is not judged; expected {expected}; it is left out");
                self.problems
                    .push(source.problem(None, &FieldPath::of("apiVersion"), message));
            }
            (None, None) if kind.ends_with("NetworkPolicy") => {
                let message = format!(
                    "{kind} of {api_version:?} is not judged: only the policies that Kubernetes itself defines are; it is left out"
                );
                self.problems
                    .push(source.problem(None, &FieldPath::of("kind"), message));
            }
            (None, None) => self.ignored += 1,
        }
    }

    fn keep_template(&mut self, template: Template, source: &Source<'_>) {
        let key = workload::key(&template.workload, &template.pod.name.namespace);
        if let Some(index) = self.replaced(key, &template.workload.to_string(), self.templates.len(), source)
        {
            if let Some(slot) = self.templates.get_mut(index) {
                *slot = template;
            }
        } else {
            self.templates.push(template);
        }
    }

    fn keep(&mut self, object: Object, source: &Source<'_>) {
        let key = object.key();
        let shown = key.to_string();
        if let Some(index) = self.replaced(key, &shown, self.objects.len(), source) {
            if let Some(slot) = self.objects.get_mut(index) {
                *slot = object;
            }
        } else {
            self.objects.push(object);
        }
    }

    /// Where the earlier object of that name is; the later one wins, and it is said.
    fn replaced(&mut self, key: ObjectKey, shown: &str, next: usize, source: &Source<'_>) -> Option<usize> {
        let place = source.place();
        match self.seen.get_mut(&key) {
            Some((index, earlier)) => {
                let message = format!("is there twice: this one replaces the one at {earlier}");
                self.problems
                    .push(source.problem(Some(shown.to_owned()), &FieldPath::default(), message));
                *earlier = place;
                Some(*index)
            }
            None => {
                self.seen.insert(key, (next, place));
                None
            }
        }
    }
}

impl Source<'_> {
    /// Where the object begins.
    pub(crate) fn place(&self) -> Place {
        Place {
            file: self.file.to_owned(),
            line: self.line,
        }
    }

    /// A problem at a field, with the field's own line where it can be found.
    pub(crate) fn problem(&self, object: Option<String>, path: &FieldPath, message: String) -> Problem {
        let line = match self.document {
            Some(document) if !path.is_top() => document.line_of(&self.prefix.then(path)),
            _ => self.line,
        };
        Problem {
            place: Place {
                file: self.file.to_owned(),
                line,
            },
            object: object.map(bounded),
            path: (!path.is_top()).then(|| bounded(path.to_string())),
            message: bounded(message),
        }
    }
}

fn plain_problem(file: &Path, message: String) -> Problem {
    Problem {
        place: Place {
            file: file.to_owned(),
            line: 0,
        },
        object: None,
        path: None,
        message,
    }
}

fn bounded(text: String) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

const fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
