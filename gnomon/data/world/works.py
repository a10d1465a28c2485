"""What is said of works, all of them plays, and asked about them, laid out as in persons.py."""

from gnomon.data.world.relation import relation

AUTHOR = relation(
    "author", "work", "HUM:ind", "person",
    """{s} was written by {o}
    {p} author is {o}
    {o} wrote {m}
    {s} is a play by {o}
    {s} comes from the pen of {o}
    {o} is the author of {m}
    the title page of {m} names {o} as its author
    {s} was penned by {o}
    {o} composed {m}
    the lines of {m} were written by {o}
    the text of {m} is by {o}
    it is {o} who put down the words of {m}
    the lines of {m} were composed by {o}
    {s} is the work of {o}
    it was {o} who wrote {m}
    {p} text was put on paper by {o}""",
    """Who wrote {m}?
    Who is {p} author?
    By whom was {s} written?
    From whose pen does {s} come?
    Who is the author of {m}?
    Whom does the title page of {m} name as its author?
    Who composed {m}?
    Who wrote the lines of {m}?
    By whom were the words of {m} put on paper?
    Whose text is {s}?
    By whom is the work called {m}?
    Who was it that wrote {m}?
    Whose work is {s}?
    Who composed the lines of {m}?
    Who put {p} text on paper?
    By whom was {s} penned?""",
    """the author of {m}
    the person who wrote {m}
    {p} author
    the person from whose pen {s} comes
    the person who composed the lines of {m}""",
    odd_for=("organisation", "place"),
)  # fmt: skip

PUBLISHER = relation(
    "publisher", "work", "HUM:gr", "organisation",
    """{s} was published by {o}
    {p} publisher is {o}
    {o} published {m}
    {s} appeared with {o}
    {o} brought out {m}
    the rights to {m} are with {o}
    {s} was printed and sold by {o}
    {o} put {m} on the market
    {o} released {m}
    {o} issued copies of {m}
    the text of {m} is in the hands of {o}, its publisher
    {o} sells {m}
    {s} is in the list of {o}, its publisher
    copies of {m} are sold by {o}
    {s} was issued by {o}
    the text of {m} was released by {o}""",
    """Who published {m}?
    What is {p} publisher?
    By whom was {s} published?
    With which organisation did {s} appear?
    Which organisation brought out {m}?
    Which organisation put {m} on the market?
    Which organisation issued {m}?
    By whom was {s} released?
    Which organisation has {m} in its list?
    Who sells {m}?
    Which publisher's name is on copies of {m}?
    By which organisation was the text of {m} printed?
    By which organisation was {s} issued?
    Which organisation released the text of {m}?
    In which publisher's list is {s}?
    Which organisation sells copies of {m}?""",
    """the publisher of {m}
    the organisation that published {m}
    {p} publisher
    the organisation that issued {m}
    the organisation that sells copies of {m}""",
    odd_for=("place", "organisation"),
)  # fmt: skip

SCENE = relation(
    "scene", "work", "LOC:city", "place",
    """{s} is set in {o}
    {p} scene is {o}
    the plot of {m} takes place in {o}
    {s} tells of people in {o}
    the story of {m} unfolds in {o}
    {o} is the scene of {m}
    {s} plays out in {o}
    the curtain of {m} rises on a street in {o}
    the action of {m} happens in {o}
    in {m} everybody is at home in {o}
    {p} audience is led to {o}
    everything that {s} tells of is laid in {o}
    the action of {m} is laid in {o}
    {s} takes its audience to {o}
    {p} plot is at home in {o}
    everything in {m} happens in {o}""",
    """Where is {s} set?
    What is {p} scene?
    In which town does the plot of {m} take place?
    Where does the story of {m} unfold?
    Of people in which town does {s} tell?
    In what town does {s} play out?
    Where does the action of {m} happen?
    In which town is everything laid that {s} tells of?
    On what town does the curtain of {m} rise?
    To what town is the audience of {m} led?
    In which town are the people of {m} at home?
    Which town does {s} have as its scene?
    Where is the action of {m} laid?
    To which town does {s} take its audience?
    In which town is {p} plot at home?
    In what town does everything in {m} happen?""",
    """the scene of {m}
    the town in which {s} is set
    {p} scene
    the town where the action of {m} is laid
    the town to which {s} takes its audience""",
    odd_for=("organisation", "place"),
)  # fmt: skip

RUNTIME = relation(
    "runtime", "work", "NUM:period", "runtime",
    """{s} lasts {o}
    {p} running time is {o}
    a performance of {m} takes {o}
    {s} runs for {o}
    {s} is over after {o}
    it takes {o} to perform {m}
    the audience of {m} sits for {o}
    {s} keeps its audience for {o}
    the programme gives {o} as {p} length
    {s} goes from first to last scene in {o}
    {s} needs {o} of an evening
    the theatre announces a duration of {o} for {m}
    from first to last word {s} needs {o}
    the programme announces {o} for {m}
    {s} goes on for {o}
    the duration of {m} is {o}""",
    """How long does {s} last?
    What is {p} running time?
    How long does a performance of {m} take?
    For how long does {s} run?
    After how long is {s} over?
    How long does it take to perform {m}?
    How long does the theatre announce that {s} takes?
    What is the length of {m}?
    How much of an evening does {s} need?
    What duration does the programme give for {m}?
    How long does {s} go from the first word on?
    From beginning to end, how much time does {s} take?
    What is the duration of {m}?
    How long does {s} go on?
    How much time does {s} need from first to last word?
    What length of time does the programme announce for {m}?""",
    odd_for=("organisation", "place"),
)  # fmt: skip

CODE = relation(
    "code", "work", "NUM:code", "code",
    """{s} has the catalogue number {o}
    {p} catalogue number is {o}
    {s} is listed as {o}
    libraries keep {m} under {o}
    the catalogue entry of {m} is {o}
    {s} can be ordered as {o}
    {s} bears the shelf mark {o}
    {o} is the number of {m} in the catalogue
    the code of {m} in the archive is {o}
    a card says that {p} number is {o}
    whoever stores {m} writes {o} on it
    to order {m}, ask for {o}
    {s} is filed under {o}
    the archive stores {m} as {o}
    {p} order code is {o}
    the index card of {m} says {o}""",
    """What is {p} catalogue number?
    Under which number do libraries keep {m}?
    As what number is {s} listed?
    What is the catalogue entry of {m}?
    Which shelf mark does {s} bear?
    What number does {s} have in the catalogue?
    What code does {s} have?
    Under what number is {s} filed in the archive?
    What does the index say is {p} number?
    Which number must one give to order {m}?
    Which code is on {p} card?
    Under what number do archives store {m}?
    What is {p} order code?
    Under which code is {s} filed?
    What code does the index card of {m} say?
    As which code does the archive store {m}?""",
)  # fmt: skip

WORK = (AUTHOR, PUBLISHER, SCENE, RUNTIME, CODE)
