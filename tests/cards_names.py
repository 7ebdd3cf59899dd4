"""Names that strangers may give to files, folders and runs, to do harm on a page that shows them."""

from __future__ import annotations

HOSTILE = [
    *("**bold** _it_ ~~gone~~", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a | b || c"),
    *("`code` ``more`` ```fence```", "two\nlines\r\nthree\n\n# heading", "[click](javascript:alert(1))"),
    *("![pixel](https://evil.example/p.png)", "[ref][1]\n\n[1]: https://evil.example"),
    *("https://evil.example/path?a=b&c=d", "<https://evil.example>", "mail me@evil.example @somebody", "a: {} # b"),
    *("---\nlicense: mit\n---", "!!python/object/apply:os.system [id]", "&amp; &lt;b&gt; &#60;i&#62;"),
    *("back\\slash \\*a\\* \\", "right\u202eto\u2066left\u2069", "zero\u200bwidth\ufeff\u00ad"),
    *("control\x00\x07\x1b[31m\x85\u2028\u2029", "caf\xe9 😀 ♥ ‖", "<!-- begin s140: scores -->"),
    *("<!-- end s140: summary -->\n# mine", "<!-- end s140: training -->", "-->", "{{ 7 * 7 }} {% raw %}"),
    *("$$x^2$$", "# heading", "> quote", "***"),
]
