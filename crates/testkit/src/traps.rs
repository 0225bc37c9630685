//! What a hostile owner of a database may have put there, for tests of what the gateway asks itself.

/// A schema `ahead` whose operators look like the server's, over the types of its catalog, and only say
/// "sprung": for who has it before `pg_catalog` in the `search_path`.
pub const OPERATORS_AHEAD: &str = "CREATE SCHEMA ahead; GRANT USAGE ON SCHEMA ahead TO PUBLIC;
    DO $$ DECLARE o record; BEGIN
    FOR o IN SELECT DISTINCT oprname, oprleft::regtype AS l, oprright::regtype AS r
        FROM pg_operator WHERE oprname IN ('=', '<>', '>=', '!~', '>', '~', '-', '+', '->>')
        AND oprleft IN ('oid'::regtype, '\"char\"'::regtype, 'name'::regtype, 'text'::regtype,
            'int8'::regtype, 'int2'::regtype, 'int4'::regtype, 'bool'::regtype,
            'jsonb'::regtype) LOOP
      EXECUTE format('CREATE OR REPLACE FUNCTION ahead.sprung(%s, %s) RETURNS bool
        LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION ''''sprung''''; END''', o.l, o.r);
      EXECUTE format('CREATE OPERATOR ahead.%s (LEFTARG = %s, RIGHTARG = %s,
        FUNCTION = ahead.sprung)', o.oprname, o.l, o.r);
    END LOOP; END $$";
