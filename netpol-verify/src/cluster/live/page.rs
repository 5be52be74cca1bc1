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
struct Position {
    #[serde(default, rename = "continue")]
    next: String,
}

/// What a page that is asked for gives.
pub(super) enum Answer {
    Page(Page),
    /// 410: what the server kept of the list is gone.
    Gone,
}

/// All items; `None` when the list was gone [`TRIES`] times. `fetch` takes where the last page ended.
///
/// Pages before a 410 are thrown away: going on would join two moments of the cluster.
pub(super) async fn all<E>(
    mut fetch: impl AsyncFnMut(Option<String>) -> Result<Answer, E>,
) -> Result<Option<Vec<Value>>, E> {
    for _ in 0..TRIES {
        let (mut items, mut next) = (Vec::new(), None);
        while let Answer::Page(page) = fetch(next.take()).await? {
            items.extend(page.items.unwrap_or_default());
            if page.metadata.next.is_empty() {
                return Ok(Some(items));
            }
            next = Some(page.metadata.next);
        }
    }
    Ok(None)
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
