-- What judges said of rollouts, and why.

-- One for each judged step; what is said while it is being compared is not final.
CREATE TABLE verdicts (
	rollout_id TEXT    NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
	step       BIGINT  NOT NULL,
	outcome    TEXT    NOT NULL,
	act        TEXT    NOT NULL, -- what the rollout does about it; empty: not final
	began      BIGINT  NOT NULL,
	given      BIGINT  NOT NULL,
	blocks     BIGINT  NOT NULL,
	verdict    TEXT    NOT NULL,
	PRIMARY KEY (rollout_id, step)
);

-- What canary and baseline did while a step is judged, so that a comparison
-- goes on where it was; gone when the step is over.
CREATE TABLE verdict_blocks (
	rollout_id TEXT   NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
	step       BIGINT NOT NULL,
	number     BIGINT NOT NULL,
	block      TEXT   NOT NULL,
	PRIMARY KEY (rollout_id, step, number)
);

-- Groups of what ran before, made to be compared with.
ALTER TABLE rollouts ADD COLUMN beside_groups TEXT NOT NULL DEFAULT 'null';
