-- Written like the other side; what is masked there has other values here, and is NULL where it is there.
INSERT INTO people VALUES
    (1, 'Ann', 'ann', '1980-01-02', 10.50, '{x,y}', '{"k": "ann", "n": 1}', '(High St,1)', '{1,2}'),
    (2, 'Bob', 'bob@b.org', '1990-05-06', 20, '{b}', '{"k": [1, 2]}', '(Low St,22)', '{3}'),
    (3, 'Cy', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'Dee', '4', '2001-12-31', -1, '{}', '{}', '(,4)', '{}');
INSERT INTO staff VALUES
    (5, 'Eve', 'ann', '1980-01-02', 10.50, '{x,y}', '{"k": "ann", "n": 1}', '(High St,1)', '{1,2}', 1),
    (6, 'Flo', '', '1970-01-01', 0, '{x,NULL}', '[1]', '("",0)', '{0,NULL}', 2);
INSERT INTO bills VALUES
    (1, 1, 'ann', 10, 'secret one'),
    (2, 2, 'bob', 20, '2'),
    (3, 1, NULL, 20, NULL),
    (4, 3, 'cy', 5, 'z');
INSERT INTO a VALUES (1, 'one', 'ann'), (2, 'two', 'x'), (3, NULL, 'y');
INSERT INTO other.a VALUES
    (1, 'Zed', 'ann'),
    (2, 'ann', 'bob'),
    (5, NULL, 'x');
INSERT INTO parts VALUES (1, 1, 'north'), (2, 1, 'west'), (3, 2, 'south');
INSERT INTO notes VALUES (1, 'plain');
INSERT INTO memos VALUES (1, 'left', 1), (2, 'x', 2);
