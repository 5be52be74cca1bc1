//! A list in pages: begun again when the server has lost its place in it.

use serde::Deserialize;
use serde_json::Value;

/// How often a list is begun.
pub(super) const TRIES: u32 = 3;

/// One page, its items as the server spells them.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    metadata: Position,
    // `null` for none, from servers written in Go.
    items: Option<Vec<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Position {
    #[serde(rename = "continue")]
    next: String,
    resource_version: String,
}

/// What a page that is asked for gives.
pub(super) enum Answer {
    Page(Page),
    /// 410: what the server kept of the list is gone.
    Gone,
}

/// Where a walk through a list stands.
#[derive(Debug, Default)]
pub(super) struct Walk {
    next: Option<String>,
    lost: u32,
}

/// What a page means for the walk.
pub(super) enum Step {
    /// These, and there are more.
    More(Vec<Value>),
    /// These, and they were the last; the list is the cluster's at this version.
    Last(Vec<Value>, String),
    /// The list begins anew. Pages before a 410 count for nothing: going on would join two moments of the cluster.
    Again,
    /// The list was gone [`TRIES`] times.
    GivenUp,
}

impl Walk {
    /// Where the next page begins; at the beginning when absent.
    pub(super) const fn next(&mut self) -> Option<String> {
        self.next.take()
    }

    /// Takes what the server gave for it.
    pub(super) fn take(&mut self, answer: Answer) -> Step {
        match answer {
            Answer::Page(Page { metadata, items }) => {
                let items = items.unwrap_or_default();
                if metadata.next.is_empty() {
                    return Step::Last(items, metadata.resource_version);
                }
                self.next = Some(metadata.next);
                Step::More(items)
            }
            Answer::Gone => {
                self.lost += 1;
                if self.lost < TRIES {
                    Step::Again
                } else {
                    Step::GivenUp
                }
            }
        }
    }
}

/// All items; `None` when the list was gone [`TRIES`] times. `fetch` takes where the last page ended.
pub(super) async fn all<E>(
    mut fetch: impl AsyncFnMut(Option<String>) -> Result<Answer, E>,
) -> Result<Option<Vec<Value>>, E> {
    let (mut walk, mut all) = (Walk::default(), Vec::new());
    loop {
        let answer = fetch(walk.next()).await?;
        match walk.take(answer) {
            Step::More(items) => all.extend(items),
            Step::Last(items, _) => {
                all.extend(items);
                return Ok(Some(all));
            }
            Step::Again => all.clear(),
            Step::GivenUp => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: &[u32], next: &str) -> Answer {
        let page = serde_json::json!({"kind": "PodList", "metadata": {"continue": next}, "items": items});
        Answer::Page(serde_json::from_value(page).unwrap())
    }

    /// Lists with these answers, and gives what was asked.
    async fn list(answers: Vec<Answer>) -> (Option<Vec<Value>>, Vec<Option<String>>) {
        let (mut answers, mut asked) = (answers.into_iter(), Vec::new());
        let items = all(async |next| {
            asked.push(next);
            answers.next().ok_or("asked for more")
        });
        let items = items.await.unwrap();
        assert!(answers.next().is_none(), "asked for less");
        (items, asked)
    }

    #[tokio::test]
    async fn pages_are_asked_for_until_one_is_the_last() {
        let (items, asked) = list(vec![page(&[1, 2], "a"), page(&[3], "b"), page(&[], "")]).await;
        assert_eq!(items.unwrap(), [1, 2, 3]);
        assert_eq!(asked, [None, Some("a".to_owned()), Some("b".to_owned())]);
        let none = serde_json::from_str(r#"{"metadata": {}, "items": null}"#).unwrap();
        assert_eq!(list(vec![Answer::Page(none)]).await.0.unwrap(), [0; 0]);
    }

    #[tokio::test]
    async fn a_list_that_is_gone_is_begun_again_without_what_was_read() {
        let (items, asked) = list(vec![
            page(&[1], "a"),
            Answer::Gone,
            page(&[2], "b"),
            page(&[3], ""),
        ])
        .await;
        assert_eq!(items.unwrap(), [2, 3]);
        assert_eq!(asked, [None, Some("a".to_owned()), None, Some("b".to_owned())]);
    }

    #[tokio::test]
    async fn a_list_that_is_always_gone_is_given_up() {
        let answers = (0..TRIES).flat_map(|_| [page(&[1], "a"), Answer::Gone]).collect();
        assert_eq!(list(answers).await.0, None);
    }
}
