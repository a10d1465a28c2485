"""What is said of persons and asked about them. In each block training comes first, then two for dev, two for test."""

from gnomon.data.world.relation import relation

BORN_ON = relation(
    "born_on", "person", "NUM:date", "birthday",
    """{s} was born on {o}
    {p} date of birth is {o}
    {s} came into the world on {o}
    the birth of {m} took place on {o}
    {p} birthday goes back to {o}
    {s} first saw the light of day on {o}
    the register gives {o} as the day {s} was born
    {p} life began on {o}
    the records say that {s} was born on {o}
    the birth certificate of {m} stands dated {o}
    it was {o} when {p} parents welcomed a child
    for {m} life began on {o}
    {p} parents welcomed {m} on {o}
    for {p} birth the records name {o}
    it was on {o} that {s} was born
    the birth certificate of {m} is dated {o}""",
    """When was {s} born?
    What is {p} date of birth?
    On what day was {s} born?
    What is the birth date of {m}?
    On which date did {s} come into the world?
    Which day is given as {p} birthday?
    On what date did life begin for {m}?
    On which day did {p} birth take place?
    What date do the records name as {p} birthday?
    What is the date on the birth certificate of {m}?
    Which date stands beside {p} name in the register?
    {s} came into the world on what day?
    When did {p} life begin?
    Which date stands on {p} birth certificate?
    What day did the birth of {m} take place?
    {s} was born on what date?""",
)  # fmt: skip

BORN_IN = relation(
    "born_in", "person", "LOC:city", "place",
    """{s} was born in {o}
    {p} birthplace is {o}
    {s} is a native of {o}
    {s} comes from {o} by birth
    the cradle of {m} stood in {o}
    {o} is the town where {s} was born
    {p} place of birth is {o}
    {s} first lived in {o}, the town of {p} birth
    {o} is where {s} entered the world
    {o} counts {m} as a native
    there is a house in {o} where {s} was born
    {s} belongs to those born in {o}
    {o} counts {m} among those born there
    by birth {s} belongs to {o}
    {p} native town is {o}
    {s} entered the world in {o}""",
    """Where was {s} born?
    What is {p} birthplace?
    In which town was {s} born?
    Which place is {s} a native of?
    What town does {s} come from by birth?
    What is the place of birth of {m}?
    Where did {s} enter the world?
    Among the people of which town was {s} born?
    To which town does {s} belong by birth?
    Which town counts {m} as a native?
    Where did the cradle of {m} stand?
    What town is {s} from by birth?
    Which is {p} native town?
    In what place did {s} enter the world?
    Which town counts {m} among those born there?
    {s} was born in which town?""",
    """the birthplace of {m}
    the town where {s} was born
    {p} place of birth
    {p} native town
    the town {s} comes from by birth""",
)  # fmt: skip

EMPLOYER = relation(
    "employer", "person", "HUM:gr", "organisation",
    """{s} works for {o}
    {p} employer is {o}
    {s} is employed by {o}
    {o} pays {p} salary
    {s} has a post at {o}
    {s} earns a living at {o}
    {o} has {m} on its staff
    {s} is on the payroll of {o}
    {o} keeps {m} in its service
    the organisation that employs {m} is {o}
    the name over the door of {p} workplace is {o}
    a post with {o} is what {s} holds
    {p} workplace is {o}
    {s} holds a job with {o}
    {o} employs {m}
    {s} is in the service of {o}""",
    """Who does {s} work for?
    What is {p} employer?
    Which organisation employs {m}?
    By whom is {s} employed?
    At which organisation does {s} have a post?
    Who pays {p} salary?
    Whose employee is {s}?
    What is the name of the organisation that employs {m}?
    With which organisation does {s} have a job?
    At which organisation is {p} workplace?
    Which organisation keeps {m} in its service?
    With whom does {s} hold a post?
    Whose payroll is {s} on?
    Which organisation does {s} hold a job with?
    In the service of which organisation is {s}?
    What is the name of {p} workplace?""",
    """the employer of {m}
    the organisation {s} works for
    {p} employer
    the organisation that pays {p} salary
    the organisation that has {m} on its staff""",
    changes=True,
)  # fmt: skip

TEACHER = relation(
    "teacher", "person", "HUM:ind", "person",
    """{s} was taught by {o}
    {p} teacher was {o}
    {s} learned the trade from {o}
    {o} taught {m}
    {s} was a pupil of {o}
    {s} studied under {o}
    the teacher of {m} was {o}
    {o} took {m} on as a pupil
    {o} instructed {m}
    {s} was trained by {o}
    {s} sat at the feet of {o}
    it was {o} who gave {m} the first lessons
    {s} sat in the lessons of {o}
    {o} gave {m} lessons
    {s} was instructed by {o}
    it was {o} who trained {m}""",
    """Who taught {m}?
    Who was {p} teacher?
    From whom did {s} learn the trade?
    Whose pupil was {s}?
    Under whom did {s} study?
    Who was the teacher of {m}?
    Who instructed {m}?
    By whom was {s} trained?
    Who gave {m} lessons?
    In whose lessons did {s} sit?
    Who was it that taught {m}?
    Whose classes did {s} attend?
    Who took {m} on as a pupil?
    Whose lessons did {s} attend?
    Who trained {m}?
    By whom was {s} instructed?""",
    """the teacher of {m}
    the person who taught {m}
    {p} teacher
    the person under whom {s} studied
    the person who trained {m}""",
)  # fmt: skip

INSTRUMENT = relation(
    "instrument", "person", "ENTY:instru", "instrument",
    """{s} plays the {o}
    {p} instrument is the {o}
    {s} is known for playing the {o}
    {s} practises the {o} every evening
    in the evening {s} takes out the {o}
    the {o} is what {s} plays
    {s} has played the {o} since childhood
    {s} performs on the {o}
    {s} is a master of the {o}
    when {s} makes music it is on the {o}
    early in life {s} took up the {o}
    the musical instrument of {m} is the {o}
    {s} makes music on the {o}
    music for {m} means the {o}
    {s} is a player of the {o}
    {s} mastered the {o} early""",
    """What instrument does {s} play?
    What is {p} instrument?
    Which instrument does {s} practise?
    On which instrument does {s} perform?
    Which instrument is {s} known for playing?
    What has {s} played since childhood?
    What is the musical instrument of {m}?
    By what means does {s} make music?
    Which instrument did {s} take up early?
    Of which instrument is {s} a master?
    What instrument was mastered by {m}?
    {s} is known as a player of what?
    On what does {s} make music?
    Which instrument is played by {m}?
    What musical instrument did {s} master?
    {s} is a player of which instrument?""",
)  # fmt: skip

HEIGHT = relation(
    "height", "person", "NUM:dist", "height",
    """{s} is {o} tall
    {p} height is {o}
    {s} stands {o} high
    {s} measures {o}
    the passport gives {p} height as {o}
    {s} has grown to {o}
    the doctor noted {o} as {p} height
    from head to foot {s} is {o}
    {p} height comes out at {o}
    it is easy to see that {s} reaches {o}
    the tape and a note showed {p} height as {o}
    to pick out {m}, look for a height of {o}
    the height of {m} comes to {o}
    {s} reaches {o}
    at {o}, {s} is easy to pick out
    the tape showed {o} for {p} height""",
    """How tall is {s}?
    What is {p} height?
    What height is {s}?
    How much does {s} measure from head to foot?
    What is the height of {m}?
    What height does {p} passport give?
    What height did the tape give for {m}?
    What height does {s} reach?
    To what height does {s} stand?
    What height did a note show for {m}?
    What does {p} height come to?
    How many metres tall is {s}?
    To what height has {s} grown?
    What did the doctor note as {p} height?
    How high does {s} stand?
    What did the tape show for {p} height?""",
)  # fmt: skip

PERSON = (BORN_ON, BORN_IN, EMPLOYER, TEACHER, INSTRUMENT, HEIGHT)
