import pytest

from reference.contract import page_of


def test_comments_belong_to_the_declaration_below():
    wit = """package a:b@1.0.0;

/// Since 1.0.
interface i {
    /// Gives back
    /// the text.
    get: func(text: string) -> string;
}

world w {
    import i;
    import j;

    export run: func();
}
"""
    declared = "## interface i\n\nSince 1.0.\n\n### get\n\n```text\nget: func(text: string) -> string;\n```\n\n"
    assert f"{declared}Gives back the text.\n\n## world w\n\nIt imports `i` and `j`.\n\n### run" in page_of(wit)


def test_a_declaration_of_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match=r"'record r \{ a: u8 \}' has no place on the page"):
        page_of("package a:b@1.0.0;\n\ninterface i {\n    record r { a: u8 }\n}\n")
