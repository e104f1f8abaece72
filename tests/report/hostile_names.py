"""Names of classes that are HTML, attributes or templates, unless they are escaped."""

HOSTILE = ("<script>alert(1)</script>", "a\"b'c & {{ d }}", "| café |")
