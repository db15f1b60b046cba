"""Long pages: a cap is found, and a page of more than a million rows may be refused."""

from __future__ import annotations

from fixtures.faults.paging import cut
from fixtures.service.service import Service
from fixtures.service.wire import ApiError, Call, Page
from tests.support.one_test import findings_here

TEST = {"test_no_limit_that_nobody_asked_for"}


def refuses_more_than_a_million(service: Service) -> Service:
    def change(call: Call, page: Page) -> Page:
        if page.length is not None and page.length > 1_000_000:
            raise ApiError(400, "Invalid data: the page is too long")
        return page

    return cut(service, None, change)


def test_cap_is_found() -> None:
    found = findings_here(TEST, "paging.length-capped-at-100", subjects={"invitation.find"})
    assert ("PAG-2", "invitation.find", "a long page does not show every row") in found


def test_page_that_is_cut_before_it_is_filtered_is_found() -> None:
    test = {"test_pages_laid_end_to_end_are_the_list"}
    found = findings_here(test, "paging.filter-after-paging", subjects={"course.find"})
    assert any(key[:2] == ("PAG-2", "course.find") for key in found)


def test_more_than_a_million_rows_may_be_refused() -> None:
    assert not findings_here(
        TEST, change=refuses_more_than_a_million, budget="standard", subjects={"invitation.find"}
    )
