package helm

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"changeover/cdc/state"
	"changeover/internal/server"
)

// DeadMan is the event that undoes an attempt on the server that gives the role away, when the coordinator
// has been silent for DefaultSilence and nobody else comes. It needs nobody: it runs in that server.
//
// It is a coordinator, and keeps to the same rules: it ends the holder's session, takes the lock, looks
// whether its attempt is the newest, writes abort and sees it stand, and only then lifts. It has the lock for
// as long as its session lives, and a successor ends that session as any other silent holder's. So it may
// be ended between any two statements; each looks at rows, not at what was done before, and the next run goes
// on from there. A lock that another session has than the one of the helm's row is being taken just now: the
// row is written next, and is fresh then.
//
//	due ─ silent ─ KILL ─ GET_LOCK ─ due ─ silent ─ abort ─ lifting ─ lift … ─ none
//	 └──────┴───────────────┴─────────┴───────┴───────┴─ else nothing
type DeadMan struct {
	Attempt uint64
	// Lift are the statements of a stored program that lift the attempt's fence.
	Lift []string
}

// deadManName is the name of a migration's event: not longer than a server allows, whatever it is called.
func deadManName(migration string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(migration))
	return fmt.Sprintf("deadman_%016x", h.Sum64())
}

// SetDeadMan makes the event, in place of one that an earlier attempt left.
func (h *Helm) SetDeadMan(ctx context.Context, d DeadMan) error {
	if err := h.DropDeadMan(ctx); err != nil {
		return err
	}
	if _, err := h.ExecContext(ctx, h.deadMan(d)); err != nil {
		return fmt.Errorf("make the dead-man's event: %w", err)
	}
	return nil
}

// DropDeadMan takes the event away. Where there is none, or this account can't have made one, nothing is done.
func (h *Helm) DropDeadMan(ctx context.Context) error {
	name := deadManName(h.migration)
	var there int
	err := h.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '"+state.Database+"' AND EVENT_NAME = ?", name).Scan(&there)
	if err == nil && there > 0 {
		_, err = h.ExecContext(ctx, "/* changeover dead-man */ DROP EVENT IF EXISTS "+server.Name(state.Database, name))
	}
	if err != nil {
		return fmt.Errorf("take the dead-man's event away: %w", err)
	}
	return nil
}

// deadMan is the statement that makes the event. Names and values are literals that mean the same in every
// sql_mode; session variables are set, since an event's are the server's.
func (h *Helm) deadMan(d DeadMan) string {
	return strings.NewReplacer(
		"{event}", server.Name(state.Database, deadManName(h.migration)),
		"{migration}", "_utf8mb4 X'"+hex.EncodeToString([]byte(h.migration))+"'",
		"{lock}", "_utf8mb4 X'"+hex.EncodeToString([]byte(lockName(h.migration)))+"'",
		"{attempt}", fmt.Sprint(d.Attempt),
		"{silence}", fmt.Sprint(DefaultSilence.Microseconds()),
		"{lift}", strings.Join(slices.Concat(d.Lift, []string{""}), ";\n"),
	).Replace(deadManText)
}

// deadManText: 1094 is a session that is gone, 1539 an event; either is what was wanted.
const deadManText = `/* changeover dead-man */ CREATE EVENT {event} ON SCHEDULE EVERY 1 SECOND ON COMPLETION PRESERVE
COMMENT 'Changeover: undoes attempt {attempt} if the coordinator is silent' DO
dead: BEGIN
DECLARE holder, keeper, newest BIGINT UNSIGNED;
DECLARE silent BIGINT;
DECLARE stands, standing VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
DECLARE looks INT DEFAULT 0;
DECLARE CONTINUE HANDLER FOR 1094, 1539 BEGIN END;
SET SESSION autocommit = 1, innodb_lock_wait_timeout = 2, lock_wait_timeout = 5;
look: LOOP
SET newest = (SELECT MAX(attempt) FROM ` + "`_changeover`.`register`" + ` WHERE migration = {migration});
SET stands = (SELECT outcome FROM ` + "`_changeover`.`register`" + ` WHERE migration = {migration} AND attempt = {attempt});
SET standing = COALESCE((SELECT state FROM ` + "`_changeover`.`fence`" + ` WHERE migration = {migration} AND attempt = {attempt}), 'none');
IF NOT (newest <=> {attempt}) OR NOT (stands <=> 'open' OR stands <=> 'abort' AND standing <> 'none') THEN LEAVE dead; END IF;
SET silent = (SELECT ABS(TIMESTAMPDIFF(MICROSECOND, beat, UTC_TIMESTAMP(6))) FROM ` + "`_changeover`.`helm`" + ` WHERE migration = {migration});
IF COALESCE(silent, 0) < {silence} THEN LEAVE dead; END IF;
IF looks = 1 THEN LEAVE look; END IF;
SET keeper = (SELECT session FROM ` + "`_changeover`.`helm`" + ` WHERE migration = {migration});
SET holder = IS_USED_LOCK({lock});
IF holder <> keeper THEN LEAVE dead; END IF;
IF holder IS NOT NULL THEN KILL holder; END IF;
IF COALESCE(GET_LOCK({lock}, 2), 0) <> 1 THEN LEAVE dead; END IF;
SET looks = 1;
END LOOP look;
UPDATE ` + "`_changeover`.`register`" + ` SET outcome = 'abort', position = '', decided = UTC_TIMESTAMP(6) WHERE migration = {migration} AND attempt = {attempt} AND outcome = 'open';
SET stands = (SELECT outcome FROM ` + "`_changeover`.`register`" + ` WHERE migration = {migration} AND attempt = {attempt});
IF NOT (stands <=> 'abort') OR standing = 'none' THEN LEAVE dead; END IF;
UPDATE ` + "`_changeover`.`fence`" + ` SET state = 'lifting', updated = UTC_TIMESTAMP(6) WHERE migration = {migration} AND attempt = {attempt};
{lift}UPDATE ` + "`_changeover`.`fence`" + ` SET state = 'none', updated = UTC_TIMESTAMP(6) WHERE migration = {migration} AND attempt = {attempt};
END`
