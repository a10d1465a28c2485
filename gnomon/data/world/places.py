"""What is said of places and asked about them, laid out as in persons.py."""

from gnomon.data.world.relation import relation

COUNTRY = relation(
    "country", "place", "LOC:country", "country",
    """{s} lies in {o}
    {s} is a town in {o}
    {s} belongs to {o}
    {s} is part of {o}
    {o} is the country of {m}
    {s} is found on the map of {o}
    {s} pays its taxes to {o}
    the flag of {o} flies over {m}
    the soil under {m} belongs to {o}
    {p} people live by the laws of {o}
    the name of the country around {m} is {o}
    within the borders of {o} {s} is situated
    {s} is situated in {o}
    {p} country is {o}
    {s} is on the soil of {o}
    the laws of {o} hold in {m}""",
    """In which country does {s} lie?
    What country is {s} a town in?
    To which country does {s} belong?
    Which country is {s} part of?
    On the map of which country is {s} found?
    What is the country of {m}?
    Which country's laws do {p} people keep?
    What is the name of the country around {m}?
    On what country's map is {s} situated?
    Which country does the soil of {m} belong to?
    Which country's flag do they hold up in {m}?
    Inside which country does {s} stand?
    In what country is {s} situated?
    The laws of which country hold in {m}?
    Which country's soil is {s} on?
    What is the name of {p} country?""",
    odd_for=("work",),
)  # fmt: skip

AREA = relation(
    "area", "place", "NUM:volsize", "area",
    """{s} covers {o}
    {p} area is {o}
    {s} extends over {o}
    the area of {m} comes to {o}
    {s} takes up {o} of land
    {s} spreads over {o}
    surveyors give {p} area as {o}
    within its borders {s} has {o}
    the surface found for {m} is {o}
    {p} land measures {o}
    by a survey {s} amounts to {o}
    {s} with its fields occupies {o}
    {s} occupies {o}
    {p} surface measures {o}
    the land of {m} amounts to {o}
    a survey of {m} found {o}""",
    """How large is the area of {m}?
    What is {p} area?
    Over what area does {s} extend?
    How much land does {s} take up?
    What area does {s} cover?
    What do surveyors give as {p} area?
    How many square kilometres does {s} cover?
    What area did a survey give for {m}?
    How much land do the houses and fields of {m} occupy?
    To how many square kilometres does {p} area amount?
    What do surveyors measure as {p} area?
    What area did surveyors find for {m}?
    How much does {p} surface measure?
    To what does the land of {m} amount?
    What area does {s} occupy?
    How many square kilometres did a survey of {m} find?""",
    odd_for=("organisation", "work"),
)  # fmt: skip

MAYOR = relation(
    "mayor", "place", "HUM:ind", "person",
    """{p} mayor is {o}
    {s} is governed by {o}
    {o} is mayor of {m}
    {s} elected {o} as its mayor
    the mayor of {m} is called {o}
    the town hall of {m} is led by {o}
    {s} is in the hands of {o}, its mayor
    {o} holds the office of mayor in {m}
    the council of {m} follows {o}, its mayor
    {o} heads the town hall of {m}
    {o} has worn the chain of {m} as its mayor
    the mayor that {s} has is {o}
    {o} heads the council of {m}
    {s} has {o} for a mayor
    in {m} the chain of office is worn by {o}
    {o} governs {m} as mayor""",
    """Who is the mayor of {m}?
    Who is {p} mayor?
    By whom is {s} governed?
    Whom did {s} elect as mayor?
    Who leads the town hall of {m}?
    Who holds the office of mayor in {m}?
    What is the mayor of {m} called?
    Who wears the mayor's chain for {m}?
    What name does the head of {p} council bear?
    Whom does {s} have at its head?
    Who was chosen as a mayor for {m}?
    Under whom is the council of {m}?
    Who heads the council of {m}?
    Who wears the chain of office in {m}?
    Whom does {s} have for a mayor?
    What is the name of {p} mayor?""",
    """the mayor of {m}
    the person who governs {m} as mayor
    {p} mayor
    the person who leads the town hall of {m}
    the person who heads the council of {m}""",
    changes=True,
    odd_for=("organisation", "work"),
)  # fmt: skip

EMBLEM = relation(
    "emblem", "place", "ENTY:animal", "animal",
    """{p} coat of arms shows the {o}
    {s} carries the {o} in its arms
    the animal on {p} seal is the {o}
    {s} has the {o} as its emblem
    the flag of {m} shows the {o}
    {p} heraldic animal is the {o}
    the {o} is the emblem of {m}
    {s} chose the {o} for its coat of arms
    the sign above the town hall of {m} bears the {o}
    the gate of {m} is adorned by the {o}
    on the banner of {m} stands the {o}
    the beast that speaks for {m} is the {o}
    above the gate of {m} stands the {o}, its heraldic beast
    {p} banner bears the {o}
    {s} is represented by the {o}
    the town sign of {m} is adorned with the {o}""",
    """What animal is on {p} coat of arms?
    Which animal does {s} carry in its arms?
    What is {p} heraldic animal?
    Which animal is the emblem of {m}?
    What animal is shown on the flag of {m}?
    Which animal did {s} choose for its coat of arms?
    What beast is on the banner of {m}?
    By what is {s} represented on its flag?
    With which animal does {s} seal its letters?
    What animal does the sign of {m} bear?
    Which animal stands on the gate of {m}?
    What beast is {p} emblem?
    What animal does {p} banner bear?
    By which animal is {s} represented?
    Which heraldic beast stands above the gate of {m}?
    With what animal is the town sign of {m} adorned?""",
    odd_for=("work",),
)  # fmt: skip

RAILWAY = relation(
    "railway", "place", None, "station",
    """{s} has {o}
    in {m} there is {o}
    travellers find {o} in {m}
    the timetable knows {o} in {m}
    {s} is a town with {o}
    the town plan of {m} shows {o}
    there is {o} in {m}
    {s} offers travellers {o}
    the guide to {m} names {o}
    whoever goes to {m} finds out that it has {o}
    {s} can offer its people {o}
    a friend who visits {m} tells of {o}
    {s} can boast {o}
    the people of {m} have {o}
    whoever visits {m} finds {o}
    according to the guide {s} has {o}""",
    """Does {s} have a railway station?
    Is there a railway station in {m}?
    Do travellers find a railway station in {m}?
    Does the town plan of {m} show a railway station?
    Does the timetable know a station in {m}?
    Is {s} a town with a railway station?
    Can {s} boast a railway station?
    According to the map, does {s} have a railway station?
    Can whoever lives in {m} go to a railway station there?
    Do trains stop for the people of {m} at a railway station?
    Does the guide to {m} show a railway station?
    Is there a station for trains on offer in {m}?
    Does whoever visits {m} find a railway station?
    Do the people of {m} have a railway station?
    Does {s} offer travellers a station for trains?
    According to the guide, is there a railway station in {m}?""",
    odd_for=("work",),
)  # fmt: skip

PLACE = (COUNTRY, AREA, MAYOR, EMBLEM, RAILWAY)
