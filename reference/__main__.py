"""Writes every reference page: `make reference`."""

from guildhook_local.output_files import replace_file
from reference.pages import FOLDER, PAGES


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        replace_file(FOLDER / f"{name}.md", page().encode())


if __name__ == "__main__":
    main()
