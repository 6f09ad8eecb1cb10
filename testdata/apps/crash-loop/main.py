import sys
import time

print("starting", flush=True)
time.sleep(1)
print("cannot reach the database", file=sys.stderr, flush=True)
sys.exit(3)
