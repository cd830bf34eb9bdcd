"""What DNS is to say of a domain that is served here (`wanted`, `zone_file`), and whether what it says is right.

Each check is a generator of `mailauth.spf.check.Steps`: it yields the questions that can be asked at the same time, is sent the
answers, and ends in findings. So the checks do no I/O, and whoever runs them decides how DNS is asked. Start at `wanted`, then
`checks`.
"""
