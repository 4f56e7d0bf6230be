"""A program of its own that runs one program and owns all that it starts: ``python -I -S shim/__main__.py FOLDER LOCK``.

It outlives the daemon, imports only the standard library and this package, and is driven through ``reconciler.proc``.

One thread and one poll: signals, the program's output, its health check, one deadline. The shim is a subreaper, so that
every descendant stays below it, daemonised ones too; "no child left" is then proof that nothing runs. Its own death kills
the program (PDEATHSIG); what escapes that carries two marks in its environment: ``proc.start`` and ``remove`` sweep it.
"""
