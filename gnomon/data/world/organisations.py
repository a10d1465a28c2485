"""What is said of organisations and asked about them, laid out as in persons.py."""

from gnomon.data.world.relation import relation

FOUNDED_ON = relation(
    "founded_on", "organisation", "NUM:date", "founding",
    """{s} was founded on {o}
    {p} founding date is {o}
    {s} has existed since {o}
    the founding of {m} took place on {o}
    {s} opened its doors on {o}
    {p} charter was signed on {o}
    {s} dates back to {o}
    {s} came into being on {o}
    for {m} everything begins on {o}
    a deed set {m} up on {o}
    {p} oldest paper bears the date {o}
    the foundation of {m} is dated {o}
    {s} was set up on {o}
    the deed of foundation of {m} bears the date {o}
    {s} started out on {o}
    {p} history begins on {o}""",
    """When was {s} founded?
    What is {p} founding date?
    Since what day has {s} existed?
    On which date did {s} open its doors?
    When was {p} charter signed?
    What date does {s} date back to?
    When does the history of {m} start?
    On what date was the foundation of {m}?
    What date does {p} oldest paper bear?
    On what day did {p} work begin?
    When was {s} started?
    On which date did {s} set out?
    On what day was {s} set up?
    When did {p} history begin?
    Which date does the deed of foundation of {m} bear?
    On what date did {s} start out?""",
)  # fmt: skip

FOUNDER = relation(
    "founder", "organisation", "HUM:ind", "person",
    """{s} was founded by {o}
    {p} founder is {o}
    {o} founded {m}
    {o} brought {m} into being
    the founding of {m} was the work of {o}
    {s} was the idea of {o}, who founded it
    {s} looks back on {o} as its founder
    {o} set up {m}
    {o} started {m}
    {s} was created by {o}
    {s} owes much to {o}, its founder
    the foundation for {m} was laid by {o}
    {s} was started by {o}
    it was {o} who created {m}
    {s} owes its existence to {o}
    {o} laid the foundation of {m}""",
    """Who founded {m}?
    Who is {p} founder?
    Who set up {m}?
    By whom was {s} founded?
    Who brought {m} into being?
    Whose work was the founding of {m}?
    Who started {m}?
    By whom was {s} created?
    Who called {m} into existence?
    To whom does {s} look back as its founder?
    By whom was {p} foundation laid?
    Whom does {s} owe its founding to?
    By whom was {s} started?
    Who created {m}?
    To whom does {s} owe its existence?
    Who laid the foundation of {m}?""",
    """the founder of {m}
    the person who founded {m}
    {p} founder
    the person who created {m}
    the person who started {m}""",
    odd_for=("work",),
)  # fmt: skip

SEAT = relation(
    "seat", "organisation", "LOC:city", "place",
    """{s} has its head office in {o}
    {p} seat is {o}
    {s} is based in {o}
    {s} is run from {o}
    {o} is home to the head office of {m}
    {p} headquarters stand in {o}
    the main office of {m} is found in {o}
    {s} has made {o} its seat
    {o} is the town that houses {p} head office
    in {o} stands the table at which {p} board meets
    {s} is resident in {o}
    the letters that {s} sends come from {o}
    {s} is registered in {o}
    {s} sends its letters from {o}, where its head office is
    {o} houses the headquarters of {m}
    {p} board meets at its seat in {o}""",
    """Where is the head office of {m}?
    What is {p} seat?
    In which town is {s} based?
    Where do {p} headquarters stand?
    From which town is {s} run?
    Which town is home to the head office of {m}?
    To which town do letters for {p} head office go?
    In which town do those who run {m} meet?
    As a resident of which town is {s} registered?
    Which town does {s} have its seat in?
    Which town houses {p} main office?
    Where is the main office of {m} found?
    In which town is {s} registered?
    Which town houses the headquarters of {m}?
    Where does {p} board meet?
    Which town has {s} as its resident head office?""",
    """the seat of {m}
    the town where {s} has its head office
    {p} seat
    the town that houses the headquarters of {m}
    the town from which {s} is run""",
    changes=True,
    odd_for=("place", "work"),
)  # fmt: skip

STAFF = relation(
    "staff", "organisation", "NUM:count", "staff",
    """{s} employs {o} people
    {p} staff numbers {o}
    {s} has {o} employees
    {s} gives work to {o} people
    {o} people work for {m}
    the staff of {m} counts {o} heads
    {s} keeps {o} people on its payroll
    {p} workforce is {o} strong
    {p} headcount stands at {o}
    {o} people make up {p} personnel
    {o} people make a living at {m}
    {p} lists have a total of {o} names
    {s} has a headcount of {o}
    {o} employees make up the staff of {m}
    a total of {o} people earn their living at {m}
    {p} personnel lists hold {o} names""",
    """How many people does {s} employ?
    How large is {p} staff?
    How many employees does {s} have?
    To how many people does {s} give work?
    How many people work for {m}?
    What is the number of people on {p} payroll?
    How many people earn a living from {m}?
    How many people do {p} lists name?
    How many people does {p} personnel consist of?
    What is the total of {p} employees?
    How many employees do {p} books hold?
    How many people have their job at {m}?
    What is {p} headcount?
    How many names do {p} personnel lists hold?
    How many people earn their living at {m}?
    Of how many people does the staff of {m} consist?""",
    changes=True,
    odd_for=("work",),
)  # fmt: skip

TURNOVER = relation(
    "turnover", "organisation", "NUM:money", "turnover",
    """{s} has a turnover of {o}
    {p} turnover is {o}
    {s} turns over {o} a year
    {s} takes in {o} a year
    the yearly sales of {m} come to {o}
    {s} sells goods for {o} every year
    {p} annual revenue stands at {o}
    the books of {m} show sales of {o}
    {p} accounts show a turnover of {o}
    {s} reports that it earns {o} a year
    the sum of {p} sales is {o}
    {p} goods bring in {o} a year
    {s} reports a revenue of {o}
    each year {s} earns {o}
    {p} sales add up to {o}
    the annual accounts of {m} speak of {o}""",
    """What is {p} turnover?
    How much does {s} turn over a year?
    How much money does {s} take in a year?
    What do the yearly sales of {m} come to?
    How high is {p} annual revenue?
    What sales do the books of {m} show?
    What turnover do the accounts of {m} show?
    What does {s} report as its turnover?
    What sum does {s} earn a year?
    What do {p} goods bring in each year?
    What do a year's sales of {m} add up to?
    Of what turnover do the papers of {m} speak?
    What revenue does {s} report?
    How much does {s} earn each year?
    To what sum do {p} sales add up?
    Of what sum do the annual accounts of {m} speak?""",
    changes=True,
)  # fmt: skip

ORGANISATION = (FOUNDED_ON, FOUNDER, SEAT, STAFF, TURNOVER)
