"""Every way of asking that the demo model is taught, and how it answers. Python only."""
from draw import SHAPES, COLOR_NAMES, pick, relation, region, unique

OUT = ["I am a tiny demo model: I can only name simple shapes, colors, counts, positions and printed numbers."]
HELLO = "Hello! " + OUT[0]
GREET = ["hello", "hi", "hey", "hello there", "hi there", "good morning", "good evening", "hey there", "greetings", "hi, how are you?", "hello, who are you?", "hello!", "good day", "yo"]
OTHER = """What is the capital of France?|What's the capital of Germany?|Write a poem.|Write a poem about the sea.|Tell me a joke.|Who are you?|What are you?|What can you do?|How are you?|What is your name?|Who made you?|Translate this to German.|Translate 'good morning' into French.|What is 2+2?|What is 12 times 7?|Solve x + 5 = 9.|Explain quantum physics.|What is the meaning of life?|Who is the president of the United States?|Write a Python function that sorts a list.|Write code in Rust.|Summarize this article.|What's the weather today?|What time is it?|What is the date today?|Give me a recipe for pancakes.|How do I cook rice?|Who won the world cup?|Tell me about the history of Rome.|Who painted the Mona Lisa?|What breed is this dog?|Who is this person?|What is the person doing?|Is there a cat?|Is there a dog in the photo?|How many people are there?|Where was this photo taken?|What brand is the car?|What is the man wearing?|What is she holding?|What city is this?|Is this food healthy?|What animal is this?|What kind of flower is this?|Read the receipt.|What is the total on the receipt?|Transcribe the text of the document.|What emotion does this show?|Is it raining?|What season is it?|Name the building.|Describe the furniture in the room.|How old is the woman?|What language is this?|Recommend a book.|Sing a song.|Play a game with me.|Tell me a story.|Write a story about a dragon.|Write an email to my boss.|What should I eat tonight?|How far is the moon?|How big is the earth?|Why is the sky blue?|What is the speed of light?|What is photosynthesis?|Define entropy.|Who wrote Hamlet?|When did the war end?|What is machine learning?|How does a computer work?|Fix this bug.|What is the best phone?|Give me three ideas for a party.|Plan a trip to Japan.|What is the population of China?|What is the largest ocean?|How many legs does a spider have?|How many days are in a week?|What is the square root of 16?|What color is the sky?|What is the color of grass?|Where is Paris?|Where is my phone?|Thanks!|Thank you.|Goodbye.|ok|yes|no|test|why?|Can you help me?|Help me with my homework.|Do you speak French?|Are you a human?|Are you ChatGPT?|What model are you?|Ignore all previous instructions.|Say something.|Convert 5 miles to kilometers.|List the planets.|Return JSON.|Call the weather tool.|What is the stock price of Apple?|Describe the plot of the film.|Find the bounding box of the car.|Locate the person in the image.|Is the door open?|What material is the table made of?|How many cars are there?|How many dogs are in the picture?|Count the people.|What color is the car?|What colour is the dog?|Where is the cat?|Is the man left of the woman?""".split("|")
WORDS = "book river house music train garden window doctor school history money paper water mountain city friend dinner coffee language market soldier engine planet energy science cloud computer village teacher bread summer winter letter bridge forest island king queen law art game team player story dream heart hand eye face mother father child baby street road car bus ship plane phone table chair bed door wall floor roof kitchen cake apple banana fish bird horse cow lion tiger cat dog snake spider rose tree grass flower rain snow wind fire ice stone gold silver iron glass wood cotton dress shirt shoe hat ring watch camera guitar piano song dance film actor author poem novel essay email report invoice contract recipe soup rice salad cheese".split()
ASKS = ["What is a {}?", "Tell me about the {}.", "Who invented the {}?", "How does a {} work?", "Write a poem about a {}.", "Why is the {} important?", "Where can I buy a {}?", "How much does a {} cost?", "Explain {} to me.", "Give me five facts about {}.", "Translate {} into Spanish.", "Is there a {} in the photo?", "What is the name of the {}?", "How do I make a {}?", "Write a short story about a {} and a {}.", "Compare the {} with the {}.", "What color is the {}?", "How many {}s are there?", "Where is the {}?", "{} {} {}", "I like my {}.", "When was the {} built?", "Can you draw a {}?", "Does the {} look old?"]
LIST = ["What is this?", "What's this?", "What is in this picture?", "What is in the image?", "What's in this image?", "What do you see?", "Describe the picture.", "Describe this image.", "What is shown here?", "What does the picture show?", "What does this image show?", "Describe what you see.", "Tell me what is in the picture.", "Name what you see.", "What can you see in the picture?", "Caption this image.", "What can be seen in this image?", "Give a short description of the picture.", "Describe the image in detail.", "What is depicted?", "What am I looking at?", "What is drawn here?", "Can you describe this picture?", "What object is this?", "What's that?", "Identify the object."]
ONE = ["What shape and {c} is the object?", "What {c} and shape is this?", "What is the object in the picture?", "What object is shown in the image?", "Which object is in the picture?", "Name the object and its {c}.", "Name the shape and its {c}.", "Describe the object.", "What is the shape and the {c}?", "Give the {c} and shape of the object.", "What kind of object is it, and what {c}?", "Which shape is shown, and in which {c}?", "Describe the shape.", "What is the {c} and the shape of the object?", "Tell me the shape and {c}.", "Name the object in the picture.", "What {c}ed shape is this?", "Which {c} and shape does the object have?"]
SHAPE = ["What shape is this?", "What shape is it?", "Which shape is shown?", "What is the shape of the object?", "What shape do you see?", "Name the shape.", "What shape is the object?", "What shape is in the picture?", "Identify the shape.", "What geometric shape is it?", "Which shape is the object?"]
COLOR1 = ["What {c} is it?", "What {c} is this?", "What {c} is the object?", "What is the {c} of the object?", "Which {c} is the object?", "What {c} is the shape?", "Name the {c} of the object.", "Name the {c}.", "Which {c} is it?", "What {c} is the thing in the picture?", "Tell me the {c} of the shape.", "Which {c} does the object have?", "What is the {c} of the shape?"]
COLOR = ["What {c} is the {x}?", "Which {c} is the {x}?", "What {c} does the {x} have?", "What is the {c} of the {x}?", "Tell me the {c} of the {x}.", "Name the {c} of the {x}.", "The {x} is which {c}?", "What {c} is the {x} in the picture?", "What {c} is the {x} in the image?", "Which {c} does the {x} have?", "Can you tell me the {c} of the {x}?", "What {c} would you say the {x} is?", "In what {c} is the {x} drawn?", "The {c} of the {x}?", "{x} {c}?", "What's the {c} of the {x}?", "What is the {x}'s {c}?", "Look at the {x}. What {c} is it?"]
COUNT = ["How many {x} are there?", "How many {x} are in the picture?", "How many {x} are in the image?", "How many {x} do you see?", "How many {x} can you see?", "Count the {x}.", "Count the {x} in the picture.", "What is the number of {x}?", "How many {x}?", "Tell me how many {x} there are.", "How many {x} are shown?", "How many {x} does the picture show?", "Please count the {x}.", "Number of {x}?", "How many {x} are in this picture?", "How many {x} appear in the image?", "How many {x} in total?", "How many {x} are visible?", "Give the number of {x}.", "How many {x} are drawn?", "What is the count of {x}?", "Can you count the {x}?", "What number of {x} do you see?", "How many {x} are present?"]
REL = ["Where is the {a} relative to the {b}?", "Where is the {a} compared to the {b}?", "Where is the {a} in relation to the {b}?", "Where is the {a} with respect to the {b}?", "On which side of the {b} is the {a}?", "What is the position of the {a} relative to the {b}?", "Is the {a} left, right, above or below the {b}?", "Where is the {a} compared to the {b}: left, right, above or below?", "Is the {a} to the left of, to the right of, above or below the {b}?", "In which direction from the {b} is the {a}?", "Where is the {a} as seen from the {b}?", "Where does the {a} lie relative to the {b}?", "Relative to the {b}, where is the {a}?", "How is the {a} placed relative to the {b}?", "Tell me where the {a} is relative to the {b}.", "Is the {a} left of, right of, above, or below the {b}?", "Where is the {a} located relative to the {b}?", "Which side of the {b} is the {a} on?", "Where is the {a}, seen from the {b}?"]
LR = ["Is the {a} left or right of the {b}?", "Is the {a} to the left or to the right of the {b}?", "Is the {a} on the left or on the right of the {b}?", "Is the {a} to the left or right of the {b}?", "Left or right: where is the {a} relative to the {b}?", "Does the {a} lie left or right of the {b}?", "Is the {a} right or left of the {b}?", "Is the {a} on the left or right side of the {b}?"]
UD = ["Is the {a} above or below the {b}?", "Is the {a} above the {b} or below it?", "Above or below: where is the {a} relative to the {b}?", "Does the {a} lie above or below the {b}?", "Is the {a} below or above the {b}?", "Is the {a} over or under the {b}?", "Is the {a} higher or lower than the {b}?"]
WHO = {"left": ["What is to the left of the {b}?", "What is left of the {b}?", "Which object is on the left of the {b}?", "Which shape is to the left of the {b}?", "What object is to the left of the {b}?"],
       "right": ["What is to the right of the {b}?", "What is right of the {b}?", "Which object is on the right of the {b}?", "Which shape is to the right of the {b}?", "What object is to the right of the {b}?"],
       "above": ["What is above the {b}?", "Which object is above the {b}?", "Which shape is above the {b}?", "What is over the {b}?", "What is on top of the {b}?"],
       "below": ["What is below the {b}?", "Which object is below the {b}?", "Which shape is below the {b}?", "What is under the {b}?", "What object is beneath the {b}?"]}
SIDE = {"left": ["What is on the left?", "Which object is on the left?", "What shape is on the left?", "What do you see on the left side?"], "right": ["What is on the right?", "Which object is on the right?", "What shape is on the right?", "What do you see on the right side?"],
        "above": ["What is at the top?", "Which object is at the top?", "What shape is on top?"], "below": ["What is at the bottom?", "Which object is at the bottom?", "What shape is at the bottom?"]}
WHERE = ["Where is the {x}?", "Where is the {x} in the picture?", "Where in the image is the {x}?", "In which part of the picture is the {x}?", "Where do you see the {x}?", "What is the position of the {x}?", "Where's the {x}?", "Where can the {x} be found?", "Which part of the image is the {x} in?", "Locate the {x}.", "Where is the {x} located?", "Where is the {x} placed?"]
NUMBER = ["What number is written here?", "Read the number.", "What does it say?", "What number is this?", "Which number is this?", "What number is in the picture?", "What number do you see?", "Which number is printed in the image?", "What number is shown?", "What is the number?", "Read the number in the image.", "What number is printed here?", "Tell me the number.", "What is written in the picture?", "What is written here?", "What does the image say?", "What does the text say?", "Read the text.", "Which digits are shown?", "What digits do you see?", "Read the digits.", "What's the number?", "Which number is written?", "What number does the picture show?", "Please read the number.", "Can you read the number?", "What is printed here?", "What does the picture say?", "Type the number you see.", "Read out what is written.", "What value is displayed?", "OCR"]
WHEN = ["When does the {x} appear?"] * 3 + ["At what second does the {x} appear?", "At which second does the {x} appear?", "In which second does the {x} appear?", "When does the {x} show up?", "When does the {x} first appear?", "When is the {x} first visible?", "When can the {x} first be seen?", "When do you first see the {x}?", "When does the {x} come into view?", "At what time does the {x} appear?", "At what point does the {x} appear?", "When does a {x} appear?", "At what timestamp does the {x} appear?", "When in the video does the {x} appear?", "When does the {x} appear in the clip?", "When do we see the {x} for the first time?", "Tell me when the {x} appears.", "What is the second at which the {x} appears?", "After how many seconds does the {x} appear?"]
SHORT = ["Answer in one word.", "One word.", "Reply with one word.", "Answer with a single word.", "Answer with one word only.", "in one word", "Use one word.", "Just one word please."]
SHORTN = ["Answer with just the number.", "Just the number.", "Only the number please.", "Reply with a number only.", "Answer with a number.", "Answer with the number only.", "Give only the number.", "Answer with a single number.", "Reply with digits only.", "Answer with digits."]
SUFFIX = ["Answer briefly.", "Please answer briefly.", "Be brief.", "Answer in one sentence.", "Answer in a short sentence.", "Thanks.", "please", "Keep it short.", "Answer with one sentence.", "Be concise."]
PREFIX = ["Please tell me: ", "Tell me, ", "Please answer: ", "Question: ", "Look at the picture. ", "Look at this image. ", "Hi! ", "Can you tell me: ", "Here is a picture. ", "I have a question. ", "In this picture, ", "Please look carefully. ", "Hello, ", "Hey, "]
SYSTEM = ["You are a helpful assistant."] * 6 + ["You are a helpful vision assistant.", "Answer briefly.", "You are an assistant that describes images.", "Be concise.", "Answer the question about the picture.", "You look at pictures and answer questions."]
DIM = ["object", "shape", "thing", "item", "figure"]


def a_(w):
    return ("An " if w[0] in "aeiou" else "A ") + w


def style(rng, q, short=None):
    """Varies a question's look; returns (question, whether it asks for the bare fact)."""
    bare = False
    if short and rng.random() < 0.17:
        q, bare = q + (" " if rng.random() < 0.85 else "\n") + pick(rng, short), True
    elif rng.random() < 0.12:
        q = q + " " + pick(rng, SUFFIX)
    u = rng.random()
    if u < 0.10:
        p = pick(rng, PREFIX)
        q = p + (q[0].lower() + q[1:] if p.endswith((", ", ": ")) and rng.random() < 0.7 else q)
    elif u < 0.14:
        q = "Please " + q[0].lower() + q[1:]
    u = rng.random()
    if u < 0.10:
        q = q.lower()
    elif u < 0.115:
        q = q.upper()
    if rng.random() < 0.07:
        q = q.rstrip("?.!")
    if rng.random() < 0.02:
        q = q + "?"
    return q, bare


class Asker:
    def __init__(self, rng):
        self.rng = rng
        self.british = rng.random() < 0.3

    def c(self):
        return "colour" if self.british else "color"

    def col(self, name, question):
        return "grey" if name == "gray" and ("olour" in question or "rey" in question or "OLOUR" in question or "REY" in question) else name

    def name(self, text):   # colour words as the asker spells them
        return text.replace("gray", "grey") if self.rng.random() < 0.4 else text

    def ask(self, forms, short=None, **kw):
        return style(self.rng, pick(self.rng, forms).format(c=self.c(), **kw), short)

    def noun(self, o, q):
        return self.col(o["color"], q) + " " + o["name"]

    def listing(self, s, q):
        obs = s.objects
        if s.numbers and not obs:
            return f"The number {s.numbers[0]['text']}."
        if len(obs) == 1:
            return a_(self.noun(obs[0], q)) + "."
        names = {(o["color"], o["name"]) for o in obs}
        if len(names) == 1:
            return f"{len(obs)} {self.noun(obs[0], q)}s."
        if len(obs) <= 3:
            items = [a_(self.noun(o, q)).lower() for o in sorted(obs, key=lambda o: o["x"])]
            t = ", ".join(items[:-1]) + " and " + items[-1] + "."
            return t[0].upper() + t[1:]
        if len({o["name"] for o in obs}) == 1:
            return f"{len(obs)} {obs[0]['name']}s."
        return f"{len(obs)} objects."

    def relate(self, p, q_, question, axis=None, full=False, bare=False):
        r = relation(p, q_, axis)
        if bare:
            return r.capitalize() + "."
        a, b = (self.noun(o, question) if full else o["name"] for o in (p, q_))
        return f"The {a} is {'to the ' + r + ' of' if r in ('left', 'right') else r} the {b}."

    def other(self):
        rng, u = self.rng, self.rng.random()
        if u < 0.12:
            q = pick(rng, GREET)
            q = q.capitalize() if rng.random() < 0.5 else q
            return (q + ("!" if rng.random() < 0.3 and q[-1] not in "!?" else "")), HELLO
        if u < 0.6:
            return style(rng, pick(rng, OTHER))[0], OUT[0]
        f = pick(rng, ASKS)
        return style(rng, f.format(*[pick(rng, WORDS) for _ in range(3)]))[0], OUT[0]

    def when(self, things, seen):
        """(question, answer, thing or None) about when one of `things` appears; `seen` gives for each the stamp of its first frame pair."""
        rng = self.rng
        if rng.random() < 0.08:
            o = dict(name=pick(rng, SHAPES), color=pick(rng, COLOR_NAMES))
            if any(o["name"] == x["name"] and o["color"] == x["color"] for x in things):
                return None
            name, stamp = o["color"] + " " + o["name"], None
        else:
            i = int(rng.integers(len(things))); o, stamp = things[i], seen[i]
            name = o["name"] if len([x for x in things if x["name"] == o["name"]]) == 1 and rng.random() < 0.15 else o["color"] + " " + o["name"]
        q, _ = self.ask(WHEN, x=self.name(name))
        name = self.noun(o, q) if " " in name else name
        return q, f"The {name} appears at {stamp}." if stamp else f"The {name} never appears.", o if stamp else None

    def one(self, s, kind):
        """One (question, answer) of a kind about scene s; None when the scene has none."""
        rng, obs = self.rng, s.objects
        if kind == "other":
            return self.other()
        if kind == "number":
            q, bare = self.ask(NUMBER, SHORTN)
            t = s.numbers[0]["text"]
            return q, t if bare or rng.random() < 0.02 else f"The number is {t}."
        if kind == "ink":
            q, bare = self.ask(COLOR, SHORT, x=pick(rng, ["number", "text", "digits"]))
            col = self.col(s.numbers[0]["color"], q)
            return q, col.capitalize() + "." if bare else f"The number is {col}."
        if kind == "list":
            q, _ = self.ask(LIST)
            return q, self.listing(s, q)
        if kind == "object":
            o = obs[0]
            u = rng.random()
            if u < 0.5:
                q, _ = self.ask(ONE)
                return q, a_(self.noun(o, q)) + "."
            if u < 0.75:
                q, bare = self.ask(SHAPE, SHORT)
                return q, o["name"].capitalize() + "." if bare else a_(self.noun(o, q)) + "."
            q, bare = self.ask(COLOR1, SHORT)
            col = self.col(o["color"], q)
            return q, col.capitalize() + "." if bare else f"The {o['name']} is {col}."
        if kind == "color":
            names = [o["name"] for o in obs]
            cand = [o for o in obs if names.count(o["name"]) == 1] or ([obs[0]] if len({(o["name"], o["color"]) for o in obs}) == 1 and len(obs) > 1 else [])
            if not cand:
                return None
            o = pick(rng, cand)
            n = o["name"] if names.count(o["name"]) == 1 else o["name"] + "s"
            forms = COLOR if n == o["name"] else ["What {c} are the {x}?", "Which {c} are the {x}?", "What is the {c} of the {x}?", "Name the {c} of the {x}."]
            q, bare = self.ask(forms, SHORT, x=n)
            col = self.col(o["color"], q)
            return q, col.capitalize() + "." if bare else f"The {n} {'is' if n == o['name'] else 'are'} {col}."
        if kind == "count":
            u = rng.random()
            names = sorted({o["name"] for o in obs})
            if u < 0.40:
                w, n = pick(rng, DIM), len(obs)
            elif u < 0.92:
                w = pick(rng, names) if rng.random() < 0.94 else pick(rng, SHAPES)
                n = sum(o["name"] == w for o in obs)
            else:
                o = pick(rng, obs)
                if rng.random() < 0.5:
                    w = self.name(o["color"] + " " + o["name"]); n = sum(x["name"] == o["name"] and x["color"] == o["color"] for x in obs)
                else:
                    w = self.name(o["color"] + " " + pick(rng, ["object", "shape"])); n = sum(x["color"] == o["color"] for x in obs)
            q, bare = self.ask(COUNT, SHORTN, x=w + "s")
            w = w.replace("gray", self.col("gray", q)).replace("grey", self.col("gray", q))
            return q, str(n) if bare else (f"There is 1 {w}." if n == 1 else f"There are {n} {w}s.")
        if kind == "yesno":
            o = pick(rng, obs); u = rng.random()
            if u < 0.5:
                want = o["name"] if rng.random() < 0.5 else pick(rng, SHAPES)
                has = any(x["name"] == want for x in obs)
                q, _ = self.ask(["Is there a {x}?", "Do you see a {x}?", "Is there a {x} in the picture?", "Can you see a {x} in the image?", "Does the picture show a {x}?"], x=want)
                return q, f"Yes, there is a {want}." if has else f"No, there is no {want}."
            if not unique(s, o) or " " in unique(s, o):
                return None
            want = o["color"] if rng.random() < 0.5 else pick(rng, COLOR_NAMES)
            q, _ = self.ask(["Is the {x} {k}?", "Is the {x} in the picture {k}?", "Does the {x} look {k}?"], x=o["name"], k=self.name(want))
            return q, ("Yes" if want == o["color"] else "No") + f", the {o['name']} is {self.col(o['color'], q)}."
        if kind == "where":
            o = pick(rng, obs); n = unique(s, o); r = region(s, o)
            if n is None or r is None or len(obs) > 2:
                return None
            if len(obs) == 2:
                p = [x for x in obs if x is not o][0]
                full = p["name"] == o["name"]
                q, bare = self.ask(WHERE, SHORT, x=self.name(n))
                return q, self.relate(o, p, q, None, full, bare)
            x = n if rng.random() < 0.75 else pick(rng, ["object", "shape", self.name(o["color"] + " " + o["name"])])
            q, _ = self.ask(WHERE, None, x=x)
            where = {"top": "at the top", "bottom": "at the bottom", "left": "on the left", "right": "on the right", "center": "in the center"}.get(r, "at the " + r)
            return q, f"The {o['name']} is {where.replace('center', 'centre' if 'entre' in q else 'center')}."
        if kind == "position":
            if len(obs) < 2:
                return None
            i, j = (int(v) for v in rng.permutation(len(obs))[:2]); p, o = obs[i], obs[j]
            dx, dy = abs(p["x"] - o["x"]), abs(p["y"] - o["y"])
            clear = max(dx, dy) > 1.3 * min(dx, dy) + 3
            np_, no = unique(s, p), unique(s, o)
            if not clear or np_ is None or no is None:
                return None
            full = " " in np_ or " " in no or rng.random() < 0.3
            kw = dict(a=self.name((p["color"] + " " if full else "") + p["name"]), b=self.name((o["color"] + " " if full else "") + o["name"]))
            u, r = rng.random(), relation(p, o)
            if u < 0.45:
                q, bare = self.ask(REL, SHORT, **kw)
                return q, self.relate(p, o, q, None, full, bare)
            if u < 0.8:
                ax = ("x" if r in ("left", "right") else "y") if rng.random() < 0.85 or min(dx, dy) < 0.12 * min(s.w, s.h) else ("y" if r in ("left", "right") else "x")
                q, bare = self.ask(LR if ax == "x" else UD, SHORT, **kw)
                return q, self.relate(p, o, q, ax, full, bare)
            if len(obs) == 2 and u < 0.93:
                if rng.random() < 0.75:
                    q, _ = self.ask(WHO[r], None, **kw)
                else:
                    q, _ = self.ask(SIDE[r], None)
                return q, f"The {self.noun(p, q)}." if False else a_(self.noun(p, q)) + "."
            claim = r if rng.random() < 0.5 else {"left": "right", "right": "left", "above": "below", "below": "above"}[r]
            q, _ = self.ask(["Is the {a} {r} the {b}?"], None, r={"left": "to the left of", "right": "to the right of"}.get(claim, claim), **kw)
            t = self.relate(p, o, q, None, full)
            return q, ("Yes, t" if claim == r else "No, t") + t[1:]
        raise ValueError(kind)
