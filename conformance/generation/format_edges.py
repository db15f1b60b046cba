"""Texts at the edges of formats: those that a standard forbids and lenient parsers accept, and undecided ones.

The standards: RFC 3339 (date, time, date-time, duration), RFC 4122 (uuid), RFC 2673 and RFC 4291 (ipv4, ipv6), RFC 1123
(hostname), RFC 3986 (uri), RFC 6901 (json-pointer). E-mail addresses are not included: the rulebook lists their forms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FORBIDDEN", "MOST_ACCEPTED", "ORDINARY", "UNDECIDED"]

#: Per format: a text that every target has to accept.
ORDINARY: Mapping[str, str] = {
    "date": "2026-02-03",
    "time": "10:20:30Z",
    "date-time": "2026-02-03T10:20:30Z",
    "duration": "P1D",
    "uuid": "12345678-1234-4234-8234-123456789012",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "www.example.com",
    "uri": "https://example.com/x",
    "json-pointer": "/a/0",
}

#: How many texts, from the start of each list, lenient parsers accept most often.
MOST_ACCEPTED = 4

#: Per format: (what is wrong, the text). The grammar of the standard forbids each of them.
FORBIDDEN: Mapping[str, Sequence[tuple[str, str]]] = {
    "date": (
        ("a leap day in 1900", "1900-02-29"),
        ("month and day exchanged", "2026-31-12"),
        ("the 31st of April", "2026-04-31"),
        ("Arabic digits", "٢٠٢٦-٠٢-٠٣"),
        ("a leap day in 2100", "2100-02-29"),
        ("a leap day in 2023", "2023-02-29"),
        ("month 0", "2026-00-10"),
        ("day 0", "2026-10-00"),
        ("one digit for month and day", "2026-2-3"),
        ("a year of two digits", "26-02-03"),
        ("a year of five digits", "12026-02-03"),
        ("no hyphens", "20260203"),
        ("a week", "2026-W06-2"),
        ("a day of the year", "2026-034"),
        ("a date-time", "2026-02-03T00:00:00Z"),
        ("a blank behind", "2026-02-03 "),
        ("full-width digits", "２０２６-０２-０３"),
        ("seconds since 1970", "1767225600"),
    ),
    "time": (
        ("hour 24", "24:00:00Z"),
        ("second 60 in the middle of an hour", "10:20:60Z"),
        ("no offset", "10:20:30"),
        ("Arabic digits", "١٠:٢٠:٣٠Z"),
        ("minute 60", "10:60:00Z"),
        ("second 61", "23:59:61Z"),
        ("no seconds", "10:20Z"),
        ("an offset without a colon", "10:20:30+0100"),
        ("an offset of 24 hours", "10:20:30+24:00"),
        ("an offset of 60 minutes", "10:20:30+01:60"),
        ("a fraction without digits", "10:20:30.Z"),
        ("one digit for the hour", "1:20:30Z"),
        ("12-hour clock", "10:20:30 PM"),
    ),
    "date-time": (
        ("hour 24", "2026-02-03T24:00:00Z"),
        ("second 60 in the middle of an hour", "2026-02-03T10:20:60Z"),
        ("month and day exchanged", "2026-31-12T10:20:30Z"),
        ("a leap day in 1900", "1900-02-29T10:20:30Z"),
        ("minute 60", "2026-02-03T10:60:30Z"),
        ("second 61", "2026-12-31T23:59:61Z"),
        ("a leap day in 2100", "2100-02-29T10:20:30Z"),
        ("a leap day in 2023", "2023-02-29T10:20:30Z"),
        ("month 0", "2026-00-10T10:20:30Z"),
        ("day 0", "2026-10-00T10:20:30Z"),
        ("one digit for month and day", "2026-2-3T10:20:30Z"),
        ("no seconds", "2026-02-03T10:20Z"),
        ("an offset without a colon", "2026-02-03T10:20:30+0100"),
        ("an offset of hours alone", "2026-02-03T10:20:30+01"),
        ("an offset of 24 hours", "2026-02-03T10:20:30+24:00"),
        ("an offset of 60 minutes", "2026-02-03T10:20:30+01:60"),
        ("the name of a zone", "2026-02-03T10:20:30 CET"),
        ("a fraction without digits", "2026-02-03T10:20:30.Z"),
        ("a comma before the fraction", "2026-02-03T10:20:30,5Z"),
        ("no hyphens and colons", "20260203T102030Z"),
        ("a week", "2026-W06-2T10:20:30Z"),
        ("a blank behind", "2026-02-03T10:20:30Z "),
        ("full-width digits", "２０２６-０２-０３T10:20:30Z"),
        ("Arabic digits", "٢٠٢٦-٠٢-٠٣T١٠:٢٠:٣٠Z"),
        ("seconds since 1970", "1767225600"),
        ("the form of HTTP", "Tue, 03 Feb 2026 10:20:30 GMT"),
    ),
    "duration": (
        ("no P", "1D"),
        ("nothing behind the T", "P1DT"),
        ("seconds without a T", "P1S"),
        ("no unit", "P1"),
        ("a clock", "01:30:00"),
        ("a number of seconds", "90"),
        ("Arabic digits", "P٣D"),
    ),
    "uuid": (
        ("in braces", "{12345678-1234-4234-8234-123456789012}"),
        ("no hyphens", "12345678123442348234123456789012"),
        ("a URN", "urn:uuid:12345678-1234-4234-8234-123456789012"),
        ("hyphens in other places", "1234-56781234-4234-8234-123456789012"),
        ("a digit more", "12345678-1234-4234-8234-1234567890123"),
        ("a blank behind", "12345678-1234-4234-8234-123456789012 "),
        ("full-width digits", "１2345678-1234-4234-8234-123456789012"),
        ("underscores for hyphens", "12345678_1234_4234_8234_123456789012"),
    ),
    "ipv4": (
        ("a leading zero", "192.0.02.1"),
        ("hexadecimal", "0x7f.0.0.1"),
        ("one number", "3221225985"),
        ("two numbers", "127.1"),
        ("five numbers", "192.0.2.1.5"),
        ("a prefix length", "192.0.2.0/24"),
        ("a port", "192.0.2.1:80"),
        ("a dot behind", "192.0.2.1."),
        ("a negative number", "192.0.-2.1"),
        ("a blank before", " 192.0.2.1"),
        ("full-width digits", "１９２.0.2.1"),
    ),
    "ipv6": (
        ("nine groups", "1:2:3:4:5:6:7:8:9"),
        ("seven groups", "1:2:3:4:5:6:7"),
        ("five digits in a group", "2001:db8::12345"),
        ("a zone", "fe80::1%eth0"),
        ("brackets", "[2001:db8::1]"),
        ("a prefix length", "2001:db8::/32"),
        ("an IPv4 address", "192.0.2.1"),
        ("three colons", "2001:db8:::1"),
        ("an IPv4 part past 255", "::ffff:192.0.2.256"),
        ("a blank behind", "2001:db8::1 "),
    ),
    "hostname": (
        ("a hyphen last", "x-.example"),
        ("a label of 64 letters", "x" * 64 + ".example"),
        ("a path", "example.com/x"),
        ("a port", "example.com:80"),
        ("a dot first", ".example.com"),
    ),
    "uri": (
        ("a path alone", "/x/y"),
        ("no scheme, two slashes", "//example.com/x"),
        ("a digit before the scheme", "1http://example.com/"),
        ("nothing before the colon", "://example.com/"),
        ("a blank in it", "https://example.com/x y"),
        ("angle brackets", "<https://example.com/>"),
    ),
    "json-pointer": (
        ("an escape that there is not", "/~2"),
        ("a tilde alone", "/a~"),
        ("a fragment", "#/a"),
    ),
}

#: Per format: texts that a target may accept or refuse, but must not fail on.
UNDECIDED: Mapping[str, Sequence[str]] = {
    "date": ("0000-01-01", "0001-01-01"),
    "time": ("23:59:60Z", "10:20:30z", "10:20:30.123456789Z", "10:20:30+23:59"),
    "date-time": (
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2016-12-31T23:59:60Z",
        "2026-02-03t10:20:30z",
        "2026-02-03 10:20:30Z",
        "2026-02-03T10:20:30.123456789Z",
        "2026-02-03T10:20:30-00:00",
        "2026-02-03T10:20:30+23:59",
    ),
    "duration": ("P0D", "P1Y2D", "P1.5D", "-P1D", "P99999999999D"),
    "ipv6": ("::192.0.2.1", "::FFFF:192.0.2.1"),
    "uri": ("http://[", "http://example.com:99999/", "x:", "http://example.com/%zz"),
}
