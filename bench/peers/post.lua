-- 4 KiB up, two bytes down
wrk.method = "POST"
wrk.body = string.rep("x", 4096)
