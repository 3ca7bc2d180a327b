import pytest

from guildhook_local.cli.visible_text import visible


@pytest.mark.parametrize(
    "text",
    [
        ":tada: [bold]x[/bold] arn:aws:x:secret:y \\ bye\\",
        "grüß 日本\u3000語 \N{NO-BREAK SPACE}",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 ❤\ufe0f मी\u200cक्",
        "https://example.org/?a=1&b='2'  two spaces",
    ],
)
def test_a_text_is_shown_to_the_letter(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\0\t\r\n\x7f", "␛[2J␀␉␍␊␡"),
        ("\x9b31m", "<U+009B>31m"),
        ("a\u202eb\u2066c\u200fd\u061c", "a<U+202E>b<U+2066>c<U+200F>d<U+061C>"),
        ("\u2028\u2029\ufeff\u200b\u00ad", "<U+2028><U+2029><U+FEFF><U+200B><U+00AD>"),
        ("\U000e0041", "<U+E0041>"),
        ("a\u3164b\u034fc\uffa0", "a<U+3164>b<U+034F>c<U+FFA0>"),
        ("\udce9\ud83d", "<0xE9><U+D83D>"),
    ],
)
def test_characters_that_are_not_seen_are_made_visible(text, shown):
    assert visible(text) == shown
