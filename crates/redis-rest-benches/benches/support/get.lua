-- One GET of the benchmark's session, as wrk sends it on every connection.
wrk.method = "POST"
wrk.body = '["GET","session:1"]'
