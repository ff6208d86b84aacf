package fault

// The rooms: 10xx configuration and connecting, 12xx what plan finds on the source, 13xx on the
// target, 14xx the stream, 15xx snapshot, 16xx apply, 17xx state and leases, 18xx the sandbox, 19xx verify,
// 20xx the cutover.
const (
	Config            Code = 1001
	ConfigUnknown     Code = 1002
	Password          Code = 1003
	Usage             Code = 1004
	Connect           Code = 1010
	Access            Code = 1011
	TLS               Code = 1012
	NoDatabase        Code = 1013
	SameServer        Code = 1014
	PlanUnknown       Code = 1101
	PlanBlocked       Code = 1102
	SourceVersion     Code = 1201
	VersionCrossing   Code = 1202
	BinlogOff         Code = 1203
	BinlogFormat      Code = 1204
	BinlogFilter      Code = 1206
	BinlogImage       Code = 1207
	PartialJSON       Code = 1208
	BinlogOrder       Code = 1209
	SourceDurability  Code = 1210
	BinlogRetention   Code = 1211
	Positions         Code = 1212
	SourcePrivilege   Code = 1213
	ServerID          Code = 1214
	ReversePrivilege  Code = 1215
	SourceReplica     Code = 1216
	LongTransaction   Code = 1217
	PreparedXA        Code = 1218
	FencePassers      Code = 1219
	SourceReadOnly    Code = 1220
	TwoPhaseAlter     Code = 1221
	TimeZone          Code = 1222
	KeylessTable      Code = 1232
	Engine            Code = 1233
	Cascade           Code = 1234
	OutsideKey        Code = 1235
	Triggers          Code = 1236
	Events            Code = 1237
	Routines          Code = 1238
	Views             Code = 1239
	Definer           Code = 1240
	Headroom          Code = 1241
	ColumnType        Code = 1242
	Translated        Code = 1243
	MariaDBFeature    Code = 1244
	GeneratedColumns  Code = 1245
	Partitions        Code = 1246
	ReservedWords     Code = 1247
	NothingToMove     Code = 1248
	SQLMode           Code = 1249
	SchemaPrivilege   Code = 1250
	SchemaRule        Code = 1251
	TargetVersion     Code = 1301
	TargetReader      Code = 1302
	TargetReadOnly    Code = 1303
	TargetNotEmpty    Code = 1304
	TargetPrivilege   Code = 1305
	TargetBinlog      Code = 1306
	LocalInfile       Code = 1307
	Packet            Code = 1308
	LetterCase        Code = 1310
	TargetReplica     Code = 1313
	TrustFunctions    Code = 1314
	Resume            Code = 1315
	RequirePrimaryKey Code = 1317
	DiskSpace         Code = 1318
	SchemaTable       Code = 1350
	SchemaUnsupported Code = 1351
	SchemaObject      Code = 1352
	SchemaDefiner     Code = 1353
	SchemaIndex       Code = 1354
	StreamStatement   Code = 1401
	StreamImage       Code = 1402
	StreamEvent       Code = 1403
	StreamPurged      Code = 1404
	StreamIdentity    Code = 1405
	StreamDDL         Code = 1406
	StreamTable       Code = 1407
	RowType           Code = 1450
	SnapshotOrder     Code = 1501
	SnapshotLoad      Code = 1502
	ApplyRow          Code = 1601
	ApplyFull         Code = 1602
	ApplyPacket       Code = 1603
	ApplyTarget       Code = 1604
	LeaseHeld         Code = 1701
	LeaseLost         Code = 1702
	StateDenied       Code = 1703
	StateVersion      Code = 1704
	StateBroken       Code = 1705
	NotRunning        Code = 1706
	ControlListen     Code = 1707
	VerifyDifferent   Code = 1901
	VerifyImpossible  Code = 1902
	VerifyReplica     Code = 1911
	VerifyPoint       Code = 1912
	VerifyStopped     Code = 1913
	AttemptUnderWay   Code = 2001
	NotReady          Code = 2002
	HoldBudget        Code = 2003
	FenceLeaks        Code = 2004
	ProofIncomplete   Code = 2005
	NothingToDo       Code = 2006
	RouteSwapped      Code = 2007
	Confirm           Code = 2008
	StillNamed        Code = 2009
	FenceBlocked      Code = 2010
	FenceShared       Code = 2011
	FencePrivilege    Code = 2012
	FenceAccount      Code = 2013
	FenceRoutine      Code = 2014
	FenceEvent        Code = 2015
	FenceXA           Code = 2016
	FenceChannel      Code = 2017
	FenceBinlog       Code = 2018
	FenceFound        Code = 2019
	FenceKill         Code = 2020
	FenceOwn          Code = 2021
	FenceProbe        Code = 2022
	FenceOpen         Code = 2023
	FenceCross        Code = 2024
	BusListen         Code = 2030
	BusOpen           Code = 2031
	BusConnect        Code = 2032
	GateInside        Code = 2033
	GateSilent        Code = 2034
	BusOvertaken      Code = 2035
	BusKey            Code = 2036
	BusAddress        Code = 2037
	HookConfig        Code = 2040
	HookFailed        Code = 2041
	HookTimeout       Code = 2042
	HookHAProxy       Code = 2043
	ObjectsBlocked    Code = 2050
	ObjectsChanged    Code = 2051
	ObjectsState      Code = 2053
	ObjectsScheduler  Code = 2054
	ObjectsLeft       Code = 2055
	ObjectsDefiner    Code = 2056
	ObjectsEvent      Code = 2057
	ReturnNotArmed    Code = 2060
	ReturnTables      Code = 2061
	Stray             Code = 2063
	WatchmanGone      Code = 2064
)

// Catalogue lists every fault, in the order of the codes.
var Catalogue = []Entry{
	{Config, "the configuration has an impossible value", "The file could not be read, is not YAML, lacks a key that is needed, or a value is out of its range.", "Correct the file and start again."},
	{ConfigUnknown, "the configuration has a key that is not known",
		"A misspelt key would otherwise be ignored, and what it was to say with it.",
		"Correct the key: the nearest known one is named. docs/configuration.md lists all."},
	{Password, "a password can't be read",
		"The file that password_file names is missing or not readable, or the variable that password_env names is not set.",
		"Create the file (chmod 600) or set the variable for this process."},
	{Usage, "the command line is wrong",
		"A flag or argument is unknown, missing or impossible.",
		"See --help of the command."},
	{Connect, "a server can't be reached",
		"DNS does not know the host, nothing listens on the port, a firewall or security group drops the packets, or something else than MySQL listens there.",
		"Check host and port in the configuration, and that this machine may connect: security groups, bind_address, DNS."},
	{Access, "a server refuses the account",
		"The user or password is wrong, the account is locked or expired, or it may not connect from this host.",
		"Check user and password_file, and that the account exists for this host: SELECT user, host FROM mysql.user."},
	{TLS, "an encrypted connection can't be made",
		"The server offers no TLS, or its certificate does not satisfy tls.mode, or it wants TLS and tls.mode is disabled.",
		"Set tls.mode to what the server offers, and tls.ca to the authority that signed its certificate (RDS: global-bundle.pem)."},
	{NoDatabase, "a database does not exist",
		"The source has no database of that name, or the account may not see it. Names are compared as written.",
		"Correct databases in the configuration, or grant the account SELECT on it."},
	{SameServer, "source and target are one server",
		"Both endpoints lead to the same server_uuid. A copied data directory brings the uuid of its original along.",
		"Correct the endpoints; for a copied data directory remove auto.cnf from the copy and restart it."},
	{PlanUnknown, "something could not be looked at",
		"A query failed, mostly for lack of a privilege, so what depends on it can't be judged.",
		"Grant what the error names and plan again."},
	{PlanBlocked, "the plan has findings that block",
		"What plan lists as blocks would make the migration fail or carry data wrongly.",
		"Clear the blocks; changeover plan says how."},
	{SourceVersion, "the source's version",
		"Tried are MySQL 8.0 to 9.7 and MariaDB 10.5 and later. Before those the binlog lacks what Changeover needs to carry values faithfully.",
		"Upgrade the source within its own flavor first."},
	{VersionCrossing, "source and target differ in version",
		"A new major version reserves words, removes functions and changes defaults. Changeover carries the data; statements of the application may still behave differently.",
		"Run the application's tests against the target's version."},
	{BinlogOff, "the source writes no binlog",
		"Changes during the copy are read from the binlog. Without it there is nothing to read.",
		"Set log_bin (on RDS: enable automated backups) and restart the source."},
	{BinlogFormat, "the source's binlog has statements instead of rows",
		"What a statement changes depends on the server that runs it.",
		"Set binlog_format=ROW on the source; sessions that are connected keep the old format, so let applications connect again."},
	{BinlogFilter, "the source keeps databases out of its binlog",
		"Changes of a filtered database never reach the stream; watermarks are rows of `_changeover`, so it must be logged too.",
		"Remove binlog_do_db and binlog_ignore_db (Aurora: set aurora_enable_repl_bin_log_filtering=0) and restart."},
	{BinlogImage, "the source's row images are not whole",
		"With MINIMAL, NOBLOB or FULL_NODUP the binlog leaves out columns that did not change; Changeover needs whole rows.",
		"SET GLOBAL binlog_row_image=FULL, let applications connect again, and start a new binlog file (FLUSH BINARY LOGS)."},
	{PartialJSON, "the source logs parts of JSON values",
		"With PARTIAL_JSON an update of a JSON column is logged as a difference, which can't be applied without the old value.",
		"SET GLOBAL binlog_row_value_options='' and let applications connect again."},
	{BinlogOrder, "commits become visible in another order than the binlog's",
		"With binlog_order_commits=OFF a watermark does not prove that what stands before it in the binlog can be seen: the copy would lose rows.",
		"SET GLOBAL binlog_order_commits=ON."},
	{SourceDurability, "a crash of the source may take back what it has committed",
		"Without sync_binlog=1 and innodb_flush_log_at_trx_commit=1 the source may come back from a crash without transactions that the target already has. Changeover then stops, and everything must be verified.",
		"SET GLOBAL sync_binlog=1, innodb_flush_log_at_trx_commit=1 for the time of the migration, or accept it."},
	{BinlogRetention, "the source may purge binlog that is still needed",
		"Binlog that is purged before it was read means copying everything again.",
		"Keep it for days: SET GLOBAL binlog_expire_logs_seconds=604800; on RDS CALL mysql.rds_set_configuration('binlog retention hours', 168)."},
	{Positions, "how the stream's place in the binlog is known",
		"GTIDs name transactions on every server; a file and an offset mean something on one server only.",
		""},
	{SourcePrivilege, "the source's account lacks a privilege",
		"The copy reads the tables, the stream the binlog, and watermarks are rows of `_changeover` on the source.",
		"Grant it."},
	{ServerID, "server ids",
		"A source with server_id 0 lets nobody read its binlog. Two servers with the same id ignore each other's transactions when one replicates from the other.",
		"Give each server its own server_id."},
	{ReversePrivilege, "the source's account lacks a privilege for the way back",
		"After the cutover the reverse stream writes to the fenced old writer, so that a rollback loses nothing. Nothing before the cutover needs it.",
		"Grant it before the cutover."},
	{SourceReplica, "the source is itself a replica",
		"Its writer is another server: the cutover must move the application from that one.",
		"Name the writer as source, or replicate with log_replica_updates=ON for a trial run."},
	{LongTransaction, "a transaction on the source has been open for long",
		"Its changes come into the binlog only when it commits; it may hold up DDL, and the lock of a table without a key.",
		"Find out what it does; KILL it if nobody misses it."},
	{PreparedXA, "prepared XA transactions on the source",
		"XA transactions can't be carried: between PREPARE and COMMIT a transaction is in the binlog without having happened.",
		"XA COMMIT or XA ROLLBACK them, and let applications do without XA during the migration."},
	{FencePassers, "accounts that write behind a fence",
		"At the cutover the old writer is fenced with read_only. Accounts with these privileges write on; if an application uses one, the cutover will refuse.",
		"Let applications use accounts without these privileges (on their events' and routines' definers too)."},
	{SourceReadOnly, "the source refuses our watermarks",
		"Watermarks are rows that are written to the source and read back from its binlog. A reader or read-only server can't take them.",
		"Name the writer's endpoint as source."},
	{TwoPhaseAlter, "ALTER TABLE is logged before it is known to succeed",
		"With binlog_alter_two_phase=ON a DDL is in the binlog twice, and its first half may be taken back.",
		"SET GLOBAL binlog_alter_two_phase=OFF."},
	{TimeZone, "time zones differ",
		"TIMESTAMP values are carried in UTC, so they name the same instant. NOW() and TIMESTAMP shown to sessions that set no time zone differ after the cutover.",
		"Set the target's time_zone to the source's, if the application relies on it."},
	{KeylessTable, "a table without a usable key",
		"Rows without a primary key, or a unique key over NOT NULL columns, can't be told apart. The table is locked against writes for a moment at the start (lock_wait_timeout 1 s, retried), copied in one piece, and its changes matched by all their values.",
		"Nothing, if that is acceptable; else give it a primary key (an invisible one will do)."},
	{Engine, "a table is not InnoDB",
		"Only InnoDB gives a consistent read beside writers and takes part in transactions; Aurora has no other engine.",
		"ALTER TABLE … ENGINE=InnoDB on the source, or leave the table out with tables.exclude."},
	{Cascade, "a foreign key that changes rows by itself",
		"MySQL before 9.6 and MariaDB do not write to the binlog what ON DELETE or ON UPDATE CASCADE, SET NULL changes in the children. The parent's change then runs on the target as that very statement, which cascades there; it waits for everything before it, and everything after it waits. Parents are copied before their children; tables that are their own ancestors are locked for a moment at the start and copied in one read view.",
		"Nothing, if such changes are rare. Where they are many a second the stream may fall behind: let the application delete the children itself, or upgrade the source to MySQL 9.6. The rule must not be made, nor its tables get another key, while they are being copied."},
	{OutsideKey, "a foreign key crosses the border of the migration",
		"One of its two tables stays behind, so the key can't hold on either side after the cutover.",
		"Move both tables, or drop the key."},
	{Triggers, "triggers",
		"On the target they would do again what the stream already brings.",
		""},
	{Events, "events",
		"On the target they would run beside the source's.",
		""},
	{Routines, "stored routines",
		"Nothing calls them on the target before the cutover.",
		""},
	{Views, "views",
		"They are created once the tables are there.",
		""},
	{Definer, "a definer that does not exist on the target",
		"A view, routine, trigger or event runs with its definer's privileges; without the account it fails when used. Accounts are never copied.",
		"Create the account on the target, or decide with definers.missing in the configuration."},
	{Headroom, "an AUTO_INCREMENT column is nearly used up",
		"When the type's highest value is reached every INSERT fails, on the target as on the source.",
		"Widen the column: ALTER TABLE … MODIFY … BIGINT UNSIGNED."},
	{ColumnType, "a column's type can't be carried",
		"Changeover does not know how to write its values, or the target has no such type.",
		"Change the type on the source, or leave the table out with tables.exclude."},
	{Translated, "a definition changes on its way to the target",
		"MariaDB and versions of MySQL name and print things differently; each change is listed, because some of them (collations) make a difference to comparisons.",
		"Read the list; change the definition on the source where the change is not acceptable."},
	{MariaDBFeature, "a table uses what only MariaDB has",
		"Sequences, system versioning, page compression and MariaDB's own encryption do not exist on MySQL.",
		"Replace it on the source, or leave the table out with tables.exclude."},
	{GeneratedColumns, "generated columns",
		"They are not copied: the target computes them. Functions may compute differently in another version.",
		"Compare them after the copy where that matters."},
	{Partitions, "partitioned tables",
		"They are created with the same partitions and copied like any table.",
		""},
	{ReservedWords, "names that are reserved words on Aurora",
		"Since Aurora MySQL 3.06 accept, aws_bedrock_invoke_model, aws_sagemaker_invoke_endpoint, content_type and timeout_ms are reserved.",
		"Quote them with backticks in the application's statements. Changeover quotes all names."},
	{NothingToMove, "no table is in scope",
		"The databases are empty, or include and exclude leave nothing.",
		"Check databases and tables in the configuration."},
	{SQLMode, "sql_mode differs",
		"Sessions that do not set their own sql_mode behave differently after the cutover. Changeover itself sets its own.",
		"Set the target's sql_mode in its parameter group to the source's, if the application relies on it."},
	{SchemaPrivilege, "the account may not read a definition on the source",
		"The text of a routine is shown only to its definer, to holders of SHOW_ROUTINE (MySQL 8.0.20 and later) and of SELECT on the server's tables.",
		"GRANT SHOW_ROUTINE ON *.* to the account (MariaDB and older MySQL: GRANT SELECT ON mysql.*), then start again."},
	{SchemaRule, "a rule of changeover check is broken",
		"The rules by which CI checks a schema were asked about both servers, and one says that something will not work on the target, or not do the same. changeover check --explain with the rule's id says more.",
		"changeover check source: --target target: names all places, and what to do for each."},
	{TargetVersion, "the target's version",
		"The target must be MySQL 8.0 or later, such as Aurora MySQL 3.",
		"Choose another target."},
	{TargetReader, "the target is a reader",
		"A reader endpoint of a cluster can't be written to.",
		"Name the cluster's writer endpoint as target."},
	{TargetReadOnly, "the target is read-only",
		"Rows could not be written.",
		"Lift read_only (CALL mysql.rds_set_read_only(0), or the parameter group) or give the account CONNECTION_ADMIN."},
	{TargetNotEmpty, "the target already has tables",
		"What is there is not of this migration, so it would be mixed up with what is copied.",
		"Drop the database on the target if nobody needs it, or choose another target."},
	{TargetPrivilege, "the target's account lacks a privilege",
		"It creates the schema, writes the rows, and keeps its state in `_changeover`.",
		"Grant it."},
	{TargetBinlog, "the target's binlog",
		"READ COMMITTED can't write with binlog_format=STATEMENT. After the cutover the reverse stream reads this binlog, which needs ROW and FULL; on Aurora the default is OFF.",
		"Set binlog_format=ROW in the cluster's parameter group and reboot the writer before the cutover."},
	{LocalInfile, "the target does not take LOAD DATA LOCAL",
		"Multi-row INSERT is used instead.",
		"Set local_infile=1 on the target for a faster copy."},
	{Packet, "max_allowed_packet on the target",
		"A row, with its text form up to twice as large, must fit into one packet.",
		"Set the target's max_allowed_packet to at least the source's, better to 1 GiB."},
	{LetterCase, "lower_case_table_names differs",
		"Names that differ only in case, or are folded on one side, would be mixed up. It can only be set when a server is created.",
		"Create the target with the source's lower_case_table_names."},
	{TargetReplica, "the target replicates from a server",
		"Another writer would change rows that Changeover writes.",
		"STOP REPLICA and RESET REPLICA ALL on the target (Aurora: CALL mysql.rds_reset_external_source)."},
	{TrustFunctions, "functions and triggers can't be created on the target",
		"With a binlog and without SUPER the server takes them only with log_bin_trust_function_creators=1 (error 1419).",
		"Set log_bin_trust_function_creators=1 on the target before the cutover."},
	{Resume, "the migration was begun before",
		"The target has its positions and chunks.",
		""},
	{RequirePrimaryKey, "the target wants a primary key in every table",
		"The table would be refused, or get a hidden column that the source does not have.",
		"Set sql_require_primary_key=OFF and sql_generate_invisible_primary_key=OFF on the target, or add a key on the source."},
	{DiskSpace, "disk space",
		"A full disk stops the copy; it goes on when there is room.",
		"See that the target has twice the size, for the binlog and for building indexes."},
	{SchemaTable, "the target refuses a table, or made it differently",
		"The definition uses what the target doesn't know, a name is taken, or a setting of the target changed what was made.",
		"The server's message says what is wrong. Change the table on the source, or leave it out with tables.exclude; then start again."},
	{SchemaUnsupported, "a definition can't be carried to the target",
		"It uses something of the source's server that the target's has no counterpart for; a silent replacement would change what the table means.",
		"Change the named part on the source, or leave the table out with tables.exclude; then start again."},
	{SchemaObject, "the target refuses views, routines, triggers or events",
		"Their text uses what the target doesn't know or what isn't there, or the target's settings forbid it (log_bin_trust_function_creators=0).",
		"The list names each with the server's message. Change them on the source, or set the parameter on the target, and run again: what is there already is made anew."},
	{SchemaDefiner, "a definer does not exist on the target, or can't be set there",
		"The policy for definers is 'keep' or 'stop': without the account, and without the privilege to name it, the object would be made with another's rights.",
		"Create the account on the target, grant SET_ANY_DEFINER (before 8.2: SET_USER_ID), or choose the policy 'replace'."},
	{SchemaIndex, "deferred indexes can't be built on the target",
		"One ALTER TABLE builds all of a table's deferred indexes; the server refused it or ran out of space for sorting.",
		"The server's message says what is missing; give the target that (space in its temporary directory, memory), then start again: what is built is kept."},
	{StreamStatement, "a change is in the binlog as a statement instead of rows",
		"A session writes with binlog_format=STATEMENT or MIXED. What such a statement changes depends on the server that runs it, so it can't be carried faithfully.",
		"Set binlog_format=ROW on the source, globally and in every session that sets it for itself, then start the copy again from an empty target."},
	{StreamImage, "a row in the binlog is not whole",
		"The source or a session has binlog_row_image=MINIMAL or NOBLOB, or binlog_row_value_options=PARTIAL_JSON: columns or parts of JSON values that did not change are left out.",
		"Set binlog_row_image=FULL and binlog_row_value_options='' on the source, globally and in every session that sets them for itself, then start the copy again from an empty target."},
	{StreamEvent, "the binlog holds what can't be carried faithfully",
		"An XA transaction, an incident, a rollback after row changes (of a table whose engine has no transactions), or an event that this version does not know.",
		"Find what wrote it and see that it does not happen again (XA: let that application pause for the migration; engines: InnoDB), then start the copy again from an empty target."},
	{StreamPurged, "the source has purged binlog that was not read yet",
		"The stream was behind, or stopped, for longer than the source keeps its binlog (binlog_expire_logs_seconds; on RDS 'binlog retention hours').",
		"What was lost can't be had again: let the source keep its binlog for longer, then start the copy again from an empty target."},
	{StreamIdentity, "the source is not what it was",
		"It does not have transactions that were read from it (a restore, a failover to a replica that was behind), it restarted with relaxed durability, or another server answers and there are no GTIDs to compare.",
		"Point the configuration at the right server. If this is the right one, everything that was copied is in doubt: start the copy again from an empty target, or verify all of it."},
	{StreamDDL, "a DDL statement in the binlog can't be carried",
		"The target refuses what the source has accepted, and says why; or the statement is of a kind that can't be carried: MariaDB's two-phase ALTER TABLE (binlog_alter_two_phase=ON), one in the middle of a transaction, a table that moves into or out of the migration.",
		"The stream stands before the statement and everything before it is applied. If something beside the tables makes the target refuse (a privilege, a setting, room), change that and start again: the statement is then tried again. Else decide, while nothing runs: \"changeover ddl\" shows the statement and its id; \"changeover ddl run ID --file FILE\" runs another statement on the target in its place, \"changeover ddl skip ID\" leaves it out; both count from the next run on. Or start the copy again from an empty target, which takes the tables as they are then. Don't change tables on the target by hand: that is noticed, and stops the migration."},
	{StreamTable, "the binlog's rows don't fit the table's definition",
		"A column was added, dropped or changed on one side without the stream passing it: by hand on the target, or in a session with sql_log_bin=0 on the source.",
		"Start the copy again from an empty target. Until then the target is whole as of the position that status shows."},
	{RowType, "a column has a type that can't be carried",
		"Changeover has no exact form for its values: MariaDB's COMPRESSED columns, YEAR(2), or a type newer than this version.",
		"Change the column's type on the source, or leave the table out with tables.exclude; then start again."},
	{SnapshotOrder, "watermarks on the source prove nothing",
		"With binlog_order_commits=OFF a transaction may become visible after one that stands later in the binlog, so a row could be in neither the copy nor the stream. With binlog_format other than ROW the watermark itself does not arrive.",
		"Set binlog_order_commits=ON and binlog_format=ROW on the source, then start again: what is copied is kept."},
	{SnapshotLoad, "the target did not take a chunk as it was sent",
		"LOAD DATA LOCAL turns refused or clipped values into warnings, so the chunk was rolled back: the target's table differs from the source's, or somebody else writes to it.",
		"Compare the table on both sides (SHOW CREATE TABLE), remove rows that do not belong on the target, then start again: what is copied is kept."},
	{ApplyRow, "the target refuses a change",
		"A row that Changeover did not write is in the way (a duplicate key), a row that should be there is not, or the target's table differs from the source's.",
		"Look at the named row on both sides and remove what does not belong on the target, then start again: it goes on with this transaction."},
	{ApplyFull, "the target's disk is full",
		"The server can't store more: its volume, its tablespace or its temporary space has no room.",
		"Make room on the target. Changeover waits and goes on by itself."},
	{ApplyPacket, "a row is larger than the target's max_allowed_packet",
		"A statement with this one row does not fit into a packet, and rows are never cut.",
		"Raise max_allowed_packet on the target, then start again: it goes on with this transaction."},
	{ApplyTarget, "the target does not take writes now",
		"It is down, restarting, or a reader (after a failover of Aurora the old writer is one).",
		"Changeover tries again by itself. If it stays so, check that the endpoint is the writer's."},
	{LeaseHeld, "another process runs this migration",
		"Its heartbeat is fresh. Two runners of one migration would hinder each other.",
		"Use that one, or stop it and start this one again. One that is cut off is replaced 3 s after its last heartbeat."},
	{LeaseLost, "another process has taken this migration over",
		"This process was silent for longer than its lease, or was thought dead. Nothing that it still sends can change the target.",
		"Nothing needs to be done: the other process goes on. Find out why this one was silent (stopped, no network, no CPU)."},
	{StateDenied, "the account may not create or use _changeover",
		"Changeover keeps its state in a database of its own on the target, and its watermark in one on the source.",
		"GRANT ALL ON `_changeover`.* to Changeover's account on that server, then start again."},
	{StateVersion, "_changeover was written by another version of Changeover",
		"The layout of its tables is not the one that this program knows.",
		"Go on with the version that started this migration."},
	{StateBroken, "the state of the migration does not fit together",
		"_changeover on the target has tables of the migration but lacks what belongs to them: somebody changed it by hand, or restored a part of it.",
		"Start over: empty the migration's databases on the target, delete the migration's rows from _changeover, and run again."},
	{NotRunning, "no run of this migration answers",
		"The command asks the running changeover run through its control API, and found none: it is not running on this machine, or was started with another state_dir.",
		"Start changeover run -c FILE, or ask on the machine where it runs."},
	{ControlListen, "the control API can't listen",
		"Its address is in use, mostly by another run on this machine, or does not belong to this machine.",
		"Give this migration a listen of its own (port 0 takes a free one), or end the other run."},
	{VerifyDifferent, "rows differ between source and target",
		"Somebody else writes to the target, or wrote to the source without its binlog (sql_log_bin=0), or what an earlier version or a server did was wrong.",
		"\"changeover verify\" shows the rows and columns. Find out who wrote them; \"changeover verify --repair\" copies the source's rows again while the run goes on."},
	{VerifyImpossible, "a table can't be compared",
		"It is missing on one side or has other columns there, or a row is longer than the server's max_allowed_packet.",
		"The text says what is in the way; mend it, and the table is looked at again by itself."},
	{VerifyReplica, "the target is no running replica of the source",
		"\"changeover verify --consistent\" reads both servers at one position of the source, to which the target comes by its own replication. That takes a replica of that very source, of its flavor, with GTIDs and both threads running, and an account that may see its state.",
		"Name such a replica as target (MySQL: gtid_mode=ON; MariaDB: CHANGE MASTER TO MASTER_USE_GTID=slave_pos) and grant REPLICATION CLIENT on it (MariaDB: SLAVE MONITOR), or compare without --consistent."},
	{VerifyPoint, "source and target can't be read at one position",
		"The account may not stop the replica or lock the source; a long statement or transaction on the source is in the way of the lock, each time that it is tried; or the replica did not come to the position in time.",
		"The text says which. Grant RELOAD, or LOCK TABLES, on the source and REPLICATION_SLAVE_ADMIN on the target (MariaDB: REPLICATION SLAVE ADMIN); wait for what is in the way; give a replica that is behind more time with --wait. Or compare without --consistent."},
	{VerifyStopped, "a replica was stopped and can't be started again",
		"\"changeover verify --consistent\" stops applying on the target for a moment, and starts it again whatever happens. This time that failed.",
		"On the target: START REPLICA SQL_THREAD (MariaDB: START SLAVE), and look at its status."},
	{AttemptUnderWay, "an attempt is under way",
		"One migration makes one attempt at a time.",
		"Wait for its end: changeover status shows it, changeover history what came of it."},
	{NotReady, "the attempt was refused before anything was touched",
		"Something would have stopped it while the application's writes were held.",
		"The reasons are all listed. What passes by itself is waited for with --wait 5m."},
	{HoldBudget, "the hold took longer than its budget",
		"A step did not end in time: the text names it and what it waited for. Everything was undone.",
		"Try again at a quieter moment, or let cutover.hold be longer (1s at most)."},
	{FenceLeaks, "the fence does not hold",
		"A write that should have been refused was not, or was refused with another error than the fence's own. Everything was undone.",
		"Look who lifted read_only meanwhile, and whether the account of the probe has been given more than it should have."},
	{ProofIncomplete, "not every row is proven equal",
		"Behind the fence something was still different, or was not compared. Everything was undone.",
		"changeover verify shows the rows, changeover verify --repair mends them. Then try again."},
	{NothingToDo, "there is nothing to pass",
		"The role is where it was asked to go, or this run can't pass it.",
		"changeover route shows who the writer is."},
	{RouteSwapped, "source and target have changed places in the configuration",
		"The route row on a server says for good which side it is, whoever is the writer.",
		"Name the servers as when the migration began: the role is passed by cutover and rollback, not by the file."},
	{Confirm, "the migration's name is asked for",
		"Passing the writer role is confirmed by naming the migration.",
		"Say --confirm NAME."},
	{StillNamed, "a gate's configuration still names the old writer first",
		"Without route rows an application server goes where its configuration says.",
		"Let every application's configuration name the new writer first, restart them one by one, and try again."},
	{FenceBlocked, "a statement is in the way of the fence",
		"The fence waits for every write statement, DDL and table lock that runs, and every write of the server waits behind it meanwhile. It was ended after 150 ms, so that nobody waits for longer.",
		"Wait until the statement that is named has ended, or end it (KILL), and try again. Jobs and backups with long statements are better paused for the cutover."},
	{FenceShared, "the server is not this migration's alone",
		"A fence for the whole server would stop the others, too: it holds their databases, or is the writer of another migration.",
		"Let cutover.fence be auto or accounts: then the accounts that write this migration's databases are locked, and nobody else is."},
	{FencePrivilege, "the account can't raise the fence",
		"It lacks a privilege that the fence, or lifting it, takes.",
		"Grant what is named to Changeover's account on that server."},
	{FenceAccount, "an account writes behind the fence",
		"It has a privilege that the fence does not bind, itself or by a role, or can't be locked. While it is connected its writes may be lost: they reach the old writer after its last position was read.",
		"Take the privilege (or the role) from the account, or end its sessions for the time of the cutover. An account of an administrator who knows what is going on can be named in cutover.operators."},
	{FenceRoutine, "a procedure writes behind the fence",
		"It runs with the rights of its definer (SQL SECURITY DEFINER), whom the fence does not bind, whoever calls it.",
		"Give the procedure a definer without that privilege, or SQL SECURITY INVOKER, or take EXECUTE from those who call it."},
	{FenceEvent, "events can't be stopped",
		"An event that goes on behind the fence writes to the old writer, and the new one has it too.",
		"Grant EVENT on its database to Changeover's account and, where the definer is another account, the privilege for definers (SET_ANY_DEFINER, SET_USER_ID or SUPER; MariaDB: SET USER). One that is running: wait until it has ended. One that was made meanwhile: try again, and make none during a cutover."},
	{FenceXA, "distributed transactions (XA) are open",
		"Their PREPARE and COMMIT pass read_only.",
		"Let the transaction manager finish them (XA RECOVER lists the prepared ones) and keep it from beginning new ones during the cutover."},
	{FenceChannel, "the server gets writes from other servers",
		"A replication channel into it, or the other members of its cluster, write behind the fence.",
		"Stop the channel (STOP REPLICA; MariaDB: STOP ALL SLAVES). Of a cluster make one member the only one that is written to, and migrate from there with the others stopped."},
	{FenceBinlog, "the binlog leaves writes out",
		"binlog_do_db or binlog_ignore_db hides this migration's databases, so the last position proves nothing.",
		"Remove the filter from the server's configuration and restart it."},
	{FenceFound, "the server refuses writes already",
		"read_only is set, and not by this migration.",
		"Find out who set it and why. If it is a leftover: SET GLOBAL read_only = 0."},
	{FenceKill, "a session can't be ended",
		"The account fence ends the sessions of the accounts that it locks. Sessions of accounts with SYSTEM_USER can only be ended by one that has it too.",
		"Grant CONNECTION_ADMIN (and SYSTEM_USER where the application's account has it) to Changeover's account, or end the session by hand."},
	{FenceOwn, "Changeover and the application use accounts of one name",
		"The process list shows names, not accounts: the sessions of one can't be told from those of the other.",
		"Give Changeover an account with a name of its own."},
	{FenceProbe, "the probe can't write",
		"An account of its own writes a row before the fence, is refused behind it, and writes again after it: so it is known that the fence stands.",
		"The text says what is in the way. Changeover's account needs CREATE USER, and SELECT, INSERT and UPDATE on `_changeover` with GRANT OPTION."},
	{FenceOpen, "the target is open to writes until the cutover",
		"Nothing on this server refuses an application's writes and lets its connections in: read_only can't be set, or others use the server too.",
		"Don't let an application write there: its gates won't. On Aurora 3.06 and later mysql.rds_set_read_only does it."},
	{FenceCross, "objects of other databases write into this migration's",
		"A view, routine, trigger or event elsewhere on the server names one of its databases. Accounts that may not write there get there by it.",
		"Drop or disable it for the time of the cutover, or move its database along."},
	{BusListen, "the bus can't listen",
		"Its address is in use, mostly by another run on this machine, or does not belong to this machine; or bus.listen names all addresses and not the one by which gates find it.",
		"Give this migration a bus.listen of its own (port 0 takes a free one), or name a cluster with bus.url."},
	{BusOpen, "the bus would be open to strangers",
		"Who may send orders on the bus can hold every write of the application. Off loopback it is encrypted, and each end shows an nkey; this end lacks one or both.",
		"Give both ends TLS and an nkey (docs/bus.md), or let the bus listen on 127.0.0.1 where all gates are on this machine."},
	{BusConnect, "the bus can't be reached",
		"Nothing listens at its address, a firewall drops the packets, or the server refuses this end: another certificate, an nkey or a token that it does not know.",
		"Check the address (that of the embedded bus is in the route row), certificate and nkey. Gates do without a bus: they follow the route rows, and meet the fence."},
	{GateInside, "write transactions did not end in time",
		"A hold lets what is inside come to its end. What is named here was still inside when the time for that was over.",
		"Make it shorter, or let the cutover cancel it with --cancel-long. Everything was undone; try again when it has ended."},
	{GateSilent, "a gate does not answer",
		"It was there within the last seconds, and now says nothing: its process has no CPU, was stopped or killed, or is cut off. Its writes can't be held.",
		"See to the process that is named. One that has ended is forgotten after 3 s."},
	{BusOvertaken, "another coordinator holds the gates",
		"A gate knows an attempt with a higher number than this one's. Gates follow the highest.",
		"Look at changeover history: only one process should run this migration."},
	{BusKey, "the bus's nkey can't be read or written",
		"The file is missing, not readable, or holds no seed of a user's nkey (it begins with SU).",
		"Name the right file, mode 0600, or make a new key (docs/bus.md)."},
	{BusAddress, "the bus's address can't be used",
		"It is not nats://host:port or tls://host:port (several of one cluster with commas between), or the migration's name does not fit into a subject.",
		"Correct bus.url, or what the route row has."},
	{HookConfig, "an endpoint's hook can't work",
		"An entry of cutover.hooks is wrong, its program is not there, or the HAProxy that it names has no such servers, or not exactly one of them in maintenance.",
		"Mend what the text names (docs/hooks.md) and ask again with \"changeover plan\"."},
	{HookFailed, "an endpoint's hook said no",
		"Its script ended with an exit code other than 0. Before commit the cutover is undone; after it the endpoint may still lead to the old writer, which refuses writes.",
		"The text has the script's last words. Mend it; after commit, run it by hand with CHANGEOVER_STEP=flip and then release."},
	{HookTimeout, "an endpoint's hook did not end in time",
		"Its script was killed, with all that it had started. A hold must be short, so its hooks must be.",
		"Make the script quicker: let it start what takes long and not wait for it. Or raise the hook's timeout."},
	{HookHAProxy, "HAProxy did not do a step",
		"Its runtime API does not answer, refuses a command, or connections to the old writer did not end.",
		"Look at the socket and at \"show stat\" there. After commit set the servers by hand: \"set server BACKEND/NEW state ready\", \"set server BACKEND/OLD state maint\", \"shutdown sessions server BACKEND/OLD\"."},
	{ObjectsBlocked, "a trigger, an event or an AUTO_INCREMENT value had to wait",
		"A statement or an open transaction on the new writer has the table, and whoever came after it would have waited too. The statement was ended, and everything is as before.",
		"End what is named (KILL), or wait for it, and try again."},
	{ObjectsChanged, "the old writer's objects are not those that were prepared",
		"A view, routine, trigger or event was changed, or a table made or dropped, while the cutover was beginning.",
		"Try again; let nobody deploy meanwhile."},
	{ObjectsState, "what is known of triggers and events can't be read",
		"The migration's row in _changeover.objects was changed by hand, or by a newer version.",
		"Restore the row from a backup, or delete it: triggers that were set aside are then known to nobody but you."},
	{ObjectsScheduler, "events will not run on the new writer",
		"Its event_scheduler is not ON, while the old writer's is.",
		"Set event_scheduler=ON there (RDS, Aurora: in the parameter group) before the cutover, or at the latest when it is open."},
	{ObjectsLeft, "an object is on one server only",
		"The new writer has a view, routine or event that the old one has not, and nothing says that Changeover made it; it is left as it is. Triggers of that kind are set aside.",
		"Drop it if nobody needs it."},
	{ObjectsDefiner, "a definer can't be kept",
		"Changeover's account may not name it: that takes SET_ANY_DEFINER (before 8.2 SET_USER_ID; MariaDB: SET USER), and SYSTEM_USER for an account that has that. Another is put in its place.",
		"Grant what is missing, or see that the object does its work with the rights of the account in its place."},
	{ObjectsEvent, "an event could not be started, or stopped, on the new writer",
		"The server refuses it to Changeover's account, mostly since the event's definer has SYSTEM_USER there and the account has not. The cutover stands.",
		"Set the event by hand: ALTER DEFINER = … EVENT … ENABLE, or DISABLE."},
	{ReturnNotArmed, "nobody has armed the way back",
		"A stream that goes back to the old writer starts at the position that a cutover or a rollback takes while both servers are fenced. None was written down there: the attempt did not come so far, or was undone.",
		"\"changeover route\" says which server has the writer role, and \"changeover history\" how the last attempt ended."},
	{ReturnTables, "the two servers have not the same tables",
		"A stream that goes back copies nothing: each table must be on both servers, with the same columns.",
		"Mend what the text names on the server that is not the writer, or wait until the stream has passed the DDL that does, and try again."},
	{Stray, "somebody wrote to the old writer",
		"A transaction in its binlog is not Changeover's own: an account that passes the fence, or a fence that was taken away. It is never applied to the new writer.",
		"The text has the tables and the first rows. Find who wrote it and stop him; decide what of it belongs on the new writer, and write that there."},
	{WatchmanGone, "nobody watches the old writer any more",
		"Its binlog holds what can't be read, or it is another server now. Strays on it would not be noticed.",
		"Look at its binlog from the named position on, and at its fence."},
}

// noWayOn is what remains where a stream that goes back can't go on.
const noWayOn = "This stream can't go on, and there is no way back any more. The server that it reads is the writer: it has every row, " +
	"applications go on there, and it must never be emptied. If the target is the writer, \"changeover finish\" ends the way back; " +
	"if the source is it again, after a rollback, the move begins anew: another migration, into an empty target."

// onReturn are the remedies of a stream that goes back, where they are others.
var onReturn = map[Code]string{
	StreamStatement: "Set binlog_format=ROW on the writer, globally and in every session that sets it for itself. " + noWayOn,
	StreamImage:     "Set binlog_row_image=FULL and binlog_row_value_options='' on the writer, globally and in every session that sets them for itself. " + noWayOn,
	StreamEvent:     noWayOn,
	StreamPurged:    "What was lost can't be had again; let the writer keep its binlog for longer. " + noWayOn,
	StreamIdentity:  "Point the configuration at the right server. If this is the right one, the two servers may differ: " + noWayOn,
	StreamDDL:       "The stream stands before the statement and everything before it is applied; the writer is not concerned. If something beside the tables makes the old writer refuse (a privilege, a setting, room), change that: the statement is then tried again. Else decide, while nothing runs: \"changeover ddl\" shows the statement and its id; \"changeover ddl run ID --file FILE\" runs another statement on the old writer in its place, \"changeover ddl skip ID\" leaves it out; both count from the next run on. Or give the way back up: \"changeover finish\" ends it. Don't change tables on the old writer by hand: that is noticed, and stops the way back. Never empty the writer.",
	StreamTable:     "The old writer is whole as of the position that status shows. " + noWayOn,
	RowType:         "Change the column's type on the writer; then start again.",
	ApplyRow:        "Look at the named row on both servers and remove what does not belong on the old one, to which the stream goes; change nothing on the writer for it. Then start again: it goes on with this transaction. If the old server is beyond that, \"changeover finish\" ends the way back.",
	ApplyFull:       "Make room on the old writer, to which the stream goes. Changeover waits and goes on by itself.",
	ApplyPacket:     "Raise max_allowed_packet on the old writer, to which the stream goes, then start again: it goes on with this transaction.",
	StateBroken:     "_changeover on the old writer, to which the stream goes, is meant. Put back what was changed there, if that is known. " + noWayOn,
}
